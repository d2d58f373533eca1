"""The work of every contestant's workers."""

import base64
import os
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import repeat
from typing import Any

LOOPS = int(os.environ.get("BENCH_LOOPS", "1"))
MEGABYTE = "x" * (1 << 20)
BYTES = bytes(range(256)) * (1 << 12)
ARRAY_MB = 100
WAIT_SECONDS = 0.05
STEPS = max(1, LOOPS // 100)
"""Loops between two looks at the clock: for some 10 µs."""
EVEN = {"0.1 ms": 0.1, "1 ms": 1.0, "10 ms": 10.0, "100 ms": 100.0}
"""Kinds of items that compute, and for how many milliseconds."""


def square(number: int) -> int:
    """Do next to nothing."""
    return number * number


def compute(milliseconds: float) -> float:
    """Compute for so much processor time of this thread.

    Whoever takes the processor away makes it longer; that a virtual machine's own speed changes
    from one second to the next does not.
    """
    end = time.thread_time() + milliseconds / 1000
    while time.thread_time() < end:
        for _ in range(STEPS):
            pass
    return milliseconds


def wait(seconds: float) -> float:
    """Wait, as for an answer from the network; what is waited for is the time itself."""
    time.sleep(seconds)
    return seconds


def echo(data: Any) -> Any:
    """Send a megabyte back."""
    return data


def echo_in_base64(data: bytes) -> str:
    """Send a megabyte of bytes back as one has to where results are JSON."""
    return base64.b64encode(data).decode("ascii")


def total(array: Any) -> float:
    """Read an array from end to end."""
    return float(array.sum())


WORK: dict[str, Callable[[Any], Any]] = {
    "tiny": square,
    **dict.fromkeys(EVEN, compute),
    "uneven": compute,
    "wait": wait,
    "1 MB": echo,
    "1 MB of bytes": echo,
    "arrays": total,
}
WORK_IN_JSON = WORK | {"1 MB of bytes": echo_in_base64}
"""The service's variants, whose results are JSON."""


def payloads(kind: str, count: int) -> Iterator[Any]:
    """Yield the payloads of a kind of work."""
    numbers = range(count)
    match kind:
        # Each another object: pickle writes the same one in a chunk only once.
        case "1 MB":
            return (MEGABYTE + str(number) for number in numbers)
        case "1 MB of bytes":
            return (BYTES + str(number).encode() for number in numbers)
        case "arrays":
            full, size = import_module("numpy").full, ARRAY_MB * 1_000_000 // 8
            return (full(size, number, "float64") for number in numbers)
        case "wait":
            return repeat(WAIT_SECONDS, count)
        case _:
            return repeat(EVEN[kind], count) if kind in EVEN else iter(numbers)


def loops_of_a_millisecond() -> int:
    """Return how many loops take this machine, undisturbed, a millisecond."""
    loops, best = 100_000, float("inf")
    for _ in range(50):
        began = time.perf_counter()
        for _ in range(loops):
            pass
        best = min(best, time.perf_counter() - began)
    return max(1, int(loops * 0.001 / best))
