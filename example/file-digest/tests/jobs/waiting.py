"""One item at once, and a hundred when the file that the input names is there."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    gate = Path(inputs[0])
    yield "first", 0
    while not gate.exists():
        time.sleep(0.01)
    for number in range(100):
        yield f"item-{number}", number


def work(payload: int) -> int:
    return payload
