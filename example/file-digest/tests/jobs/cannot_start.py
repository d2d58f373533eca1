"""So many items, and what the code that a test appends needs to keep workers from starting."""

import ctypes
import multiprocessing
import os
import pickle
from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    return ((f"item-{number}", number) for number in range(100))


def work(payload: int) -> int:
    return payload


IN_WORKER = multiprocessing.parent_process() is not None
