"""So many items; each logs, notes that one has begun, and sleeps for so many seconds."""

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path


def items(inputs: Sequence[str]) -> Iterator[tuple[str, tuple[int, float]]]:
    count, seconds = int(inputs[0]), float(inputs[1])
    return ((f"item-{number}", (number, seconds)) for number in range(count))


def work(payload: tuple[int, float]) -> int:
    number, seconds = payload
    logging.getLogger(__name__).info("at item %d", number)
    Path("began").touch()
    time.sleep(seconds)
    return number
