"""One queue, one listener process, one log file: the classic design, and what a kill does to it.

When to use it: where no process is ever killed, or on Windows; ``--log-transport queue`` is it.

What it cannot survive: a worker that is killed while it sends a record. It dies with the queue's
lock: no other process logs any more, and none of them can even end, because each waits until its
records are sent. The pipe that the service logs through has no lock, so it survives every kill.
"""

import logging
import time
from collections.abc import Callable
from contextlib import closing, suppress
from logging.handlers import QueueHandler
from multiprocessing import Pipe, Process, Queue
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty
from typing import Any

from one_log import LogSetup, configure_worker, one_log

Records = Queue
WAIT_SECONDS = 30.0


def listen(
    records: "Records[logging.LogRecord | None]", log_file: Path, telling: Connection
) -> None:
    """Be the listener: write what arrives, until None does, or nothing for a while."""
    handler = logging.FileHandler(log_file, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(processName)-10s %(message)s"))
    telling.send("ready")
    with closing(handler), suppress(Empty):
        while (record := records.get(timeout=WAIT_SECONDS)) is not None:
            handler.handle(record)  # not its logger: in the service's log it is already


def log_steps(
    logs: LogSetup,
    records: "Records[logging.LogRecord | None]",
    count: int,
    size: int,
    telling: Connection,
) -> None:
    """Be a worker: log some records of some size, both through the queue and through the pipe."""
    configure_worker(logs)
    logging.getLogger().addHandler(QueueHandler(records))
    for step in range(count):
        logging.getLogger("worker").info("step %d%s", step, "." * size)
    telling.send("done")


def start(target: Callable[..., None], name: str, *args: Any) -> tuple[Process, Connection]:
    """Start a process; return it and a pipe on which it tells how far it is."""
    ends: tuple[Any, Any] = Pipe(duplex=False)  # on Windows a PipeConnection
    process = Process(target=target, name=name, args=(*args, ends[1]))
    process.start()
    ends[1].close()
    return process, ends[0]


def wait_until_sending(records: "Records[logging.LogRecord | None]") -> None:
    """Wait for the first bytes of a record in the queue's pipe."""
    deadline = time.monotonic() + WAIT_SECONDS
    while records.empty() and time.monotonic() < deadline:
        time.sleep(0.01)


def logged(logs: LogSetup, log_file: Path, *, kill_one: bool) -> tuple[int, bool]:
    """Log 100 steps by way of a queue; return how many arrived, and whether the worker ended.

    Args:
        logs: How to log to the service's own log.
        log_file: Where the queue's listener writes.
        kill_one: Whether another worker is killed before, in the middle of a long record.
    """
    records: Records[logging.LogRecord | None] = Queue()
    if kill_one:
        # The record is larger than the pipe, and the listener is not there yet to read from it:
        # so it is half sent, and the lock is held, for certain. In life it is a matter of luck.
        victim, _ = start(log_steps, "victim", logs, records, 1, 1 << 20)
        wait_until_sending(records)
        victim.kill()
        victim.join()
    listener, ready = start(listen, "listener", records, log_file)
    worker, done = start(log_steps, "worker", logs, records, 100, 0)
    for told in (ready, done):
        told.poll(WAIT_SECONDS)
    worker.join(0.5 if kill_one else WAIT_SECONDS)
    ended = worker.exitcode is not None
    if ended:
        records.put(None)
        listener.join(WAIT_SECONDS)
    for process in (worker, listener):
        process.kill()
        process.join()
    return log_file.read_text(encoding="utf-8").count("step"), ended


def main() -> None:
    """Log through a queue, first in peace, then with a kill."""
    with one_log(__doc__) as logs:
        log_file = logs.sender.log_file.with_suffix(".queue.log")
        for kill_one in (False, True):
            arrived, ended = logged(logs, log_file, kill_one=kill_one)
            print(
                f"{'after a kill' if kill_one else 'in peace'}: {arrived} of 100 records arrived,",
                "the worker ended" if ended else "the worker hangs",
            )


if __name__ == "__main__":
    main()
