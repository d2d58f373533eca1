"""The first worker that imports it takes a minute, and notes its pid before."""

import multiprocessing
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

first = Path("first")
if multiprocessing.parent_process() and not first.exists():
    first.with_suffix(".part").write_text(str(os.getpid()))
    first.with_suffix(".part").rename(first)
    time.sleep(60)


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    return ((f"item-{number}", number) for number in range(100))


def work(payload: int) -> int:
    return payload
