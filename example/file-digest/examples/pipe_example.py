"""Pipe: a connection between exactly two processes; what the service itself is built on.

``Pipe()`` works both ways, ``Pipe(duplex=False)`` one way, and each end belongs to one process.

When to use it: one process talks to one other. It is quicker than a queue, and it has no lock.

What it survives: the death of either side. The other one sees EOFError or BrokenPipeError. What it
cannot survive is two processes that use the same end at the same time.
"""

import logging
import time
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from typing import Any

from one_log import LogSetup, configure_worker, one_log

log = logging.getLogger(__name__)


def count(logs: LogSetup, sending: Connection, seconds: float) -> None:
    """Send ten numbers, stay for some seconds, and end."""
    configure_worker(logs)
    log.info("sending 10 numbers")
    for number in range(10):
        sending.send(number)
    time.sleep(seconds)


def answer(logs: LogSetup, connection: Connection) -> None:
    """Answer one question on the connection that it came by."""
    configure_worker(logs)
    question = connection.recv()
    log.info("was asked %r", question)
    connection.send(f"{question} 42")


def receive_all(receiving: Connection) -> list[int]:
    """Receive until the other side is gone, however it went."""
    numbers: list[int] = []
    try:
        while True:
            numbers.append(receiving.recv())
    except EOFError:
        return numbers


def counted(logs: LogSetup, *, killed: bool) -> list[int]:
    """Receive what a process counts that ends, or that is killed."""
    ends: tuple[Any, Any] = Pipe(duplex=False)  # on Windows a PipeConnection
    receiving, sending = ends
    process = Process(target=count, args=(logs, sending, 60 if killed else 0))
    process.start()
    sending.close()  # the process has a copy; while main keeps one too, the end never comes
    first = receiving.recv()
    if killed:
        process.kill()
    numbers = receive_all(receiving)
    process.join()
    return [first, *numbers]


def main() -> None:
    """Receive to the end, lose the other side, then talk in both directions."""
    with one_log(__doc__) as logs:
        print("received until the end:", counted(logs, killed=False))
        rest = counted(logs, killed=True)
        print("received from a killed process:", "the first ones" if rest[0] == 0 else rest)

        ours, theirs = Pipe()
        process = Process(target=answer, args=(logs, theirs))
        process.start()
        theirs.close()
        ours.send("6 times 7 is")
        print("asked and answered:", ours.recv())
        process.join()


if __name__ == "__main__":
    main()
