"""A million items; main's peak of memory is noted at the 100,000th and at the last."""

import resource
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

assert sys.platform != "win32"


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    for number in range(1_000_000):
        if number in (100_000, 999_999):
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            Path(f"peak-{number}").write_text(str(peak))
        yield f"item-{number}", number


def work(payload: int) -> int:
    return payload
