"""A separate log file for each process: the first way to log from several.

When to use it: a few processes with names, whose logs are read one by one. It needs no listener,
and nobody waits for anybody.

What it cannot survive: growth. Two processes must never have the same file, a new worker needs a
new one, each is rotated on its own, and what happened across them has to be merged by time.
"""

import heapq
import logging
from multiprocessing import Process
from pathlib import Path

from one_log import LogSetup, configure_worker, one_log

log = logging.getLogger(__name__)


def work(logs: LogSetup, log_file: Path) -> None:
    """Log to a file of one's own, beside the service's log."""
    configure_worker(logs)
    handler = logging.FileHandler(log_file, mode="w", encoding="utf-8")
    handler.setFormatter(logs.formatter())
    logging.getLogger().addHandler(handler)
    for step in range(5):
        log.info("step %d", step)


def main() -> None:
    """Write two files, then merge them."""
    with one_log(__doc__) as logs:
        log_file = logs.sender.log_file
        files = {name: log_file.with_suffix(f".{name}.log") for name in ("worker-1", "worker-2")}
        processes = [
            Process(target=work, name=name, args=(logs, file)) for name, file in files.items()
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        logged = [file.read_text(encoding="utf-8").splitlines() for file in files.values()]
        for name, lines in zip(files, logged, strict=True):
            print(f"{name} has a file of its own with {len(lines)} lines")
        merged = list(heapq.merge(*logged))  # each line begins with its time
        print(f"merged by time: {len(merged)} lines, in order: {merged == sorted(merged)}")


if __name__ == "__main__":
    main()
