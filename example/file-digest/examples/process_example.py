"""Process: a function of yours, run in a process of its own.

When to use it: a few long-lived jobs, each with a name, whose end you want to see.

What it cannot survive: nothing of the process outlives it. A result must have been sent before the
end (a queue, a pipe), and a process that is killed sends none; all that main sees is an exit code.
"""

import logging
import os
import sys
import time
from multiprocessing import Process

from one_log import LogSetup, configure_worker, one_log

log = logging.getLogger(__name__)


def greet(logs: LogSetup, name: str) -> None:
    """Say hello from another process."""
    configure_worker(logs)
    log.info("process id: %d", os.getpid())
    log.info("hello %s", name)


def give_up(logs: LogSetup) -> None:
    """End with an exit code of one's own."""
    configure_worker(logs)
    log.error("giving up")
    sys.exit(3)


def main() -> None:
    """Start processes, wait for them, see how they ended."""
    with one_log(__doc__) as logs:
        greeter = Process(target=greet, name="greeter", args=(logs, "bob"))
        quitter = Process(target=give_up, name="quitter", args=(logs,))
        sleeper = Process(target=time.sleep, name="sleeper", args=(60,))
        print(f"main is process {os.getpid()}")
        for process in (greeter, quitter, sleeper):
            process.start()
            print(f"{process.name} is process {process.pid}")
        sleeper.kill()
        for process in (greeter, quitter, sleeper):
            process.join()
            print(f"{process.name} ended with exit code {process.exitcode}")


if __name__ == "__main__":
    main()
