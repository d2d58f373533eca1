"""Items, quick and slow, until the file that the input names is there; then it holds how many."""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    enough, number = Path(inputs[0]), 0
    while not enough.exists():
        yield f"item-{number}", number
        number += 1
    enough.write_text(str(number))


def work(payload: int) -> int:
    time.sleep(0 if payload % 3 else random.random() * 0.02)
    return payload
