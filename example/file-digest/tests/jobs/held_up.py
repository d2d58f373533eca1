"""Thousands of items; that in the middle executes the input."""

import ctypes
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


def items(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number in range(4_000):
        yield f"item-{number}", inputs[0] if number == 2_000 else ""


def work(payload: str) -> None:
    exec(payload)
