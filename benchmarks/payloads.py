"""What the workers of every contestant do."""

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

LOOPS = int(os.environ.get("BENCH_LOOPS", "1"))
MEGABYTE = "x" * (1 << 20)


def square(number: int) -> int:
    """Do next to nothing."""
    return number * number


def compute(number: int) -> int:
    """Compute for a millisecond: a fixed number of steps, so that a busy machine shows."""
    for _ in range(LOOPS):
        pass
    return number


def echo(text: str) -> str:
    """Send a megabyte back."""
    return text


WORK: dict[str, Callable[[Any], Any]] = {"tiny": square, "1 ms": compute, "1 MB": echo}


def payloads(kind: str, count: int) -> Iterator[Any]:
    """Yield the payloads of a kind of work."""
    if kind == "1 MB":
        # Each another text: pickle writes the same object in a chunk only once.
        return (MEGABYTE + str(number) for number in range(count))
    return iter(range(count))


def loops_of_a_millisecond() -> int:
    """Return how many loops take this machine, undisturbed, a millisecond."""
    loops, best = 100_000, float("inf")
    for _ in range(50):
        began = time.perf_counter()
        for _ in range(loops):
            pass
        best = min(best, time.perf_counter() - began)
    return max(1, int(loops * 0.001 / best))
