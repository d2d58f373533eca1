"""At its import in main it sends main the signal that the environment names, from a callback."""

import multiprocessing
import os
import signal
import weakref
from collections.abc import Iterator, Sequence


class Passing:
    pass


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    return ((f"item-{number}", number) for number in range(100))


def work(payload: int) -> int:
    return payload


if multiprocessing.parent_process() is None:
    number = signal.Signals[os.environ["SIGNAL"]]
    passing = Passing()
    reference = weakref.ref(passing, lambda _: os.kill(os.getpid(), number))
    del passing
