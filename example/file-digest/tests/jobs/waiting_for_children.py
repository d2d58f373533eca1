"""Ignores how children end, or waits for all of them itself, as the environment says."""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence

assert sys.platform != "win32"


def reap() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            threading.Event().wait(0.01)


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    exec(os.environ.get("IN_ITEMS", ""), globals())
    return ((f"item-{number}", number) for number in range(1_000))


def work(number: int) -> None:
    if number == 500:
        os._exit(3)


exec(os.environ.get("AT_IMPORT", ""))
