"""So many items; each sleeps, and returns its square and so many characters."""

import time
from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, tuple[int, int, float]]]:
    count, size, pause = int(inputs[0]), int(inputs[1]), float(inputs[2])
    return ((f"item-{n}", (n, size, pause)) for n in range(count))


def work(payload: tuple[int, int, float]) -> tuple[int, str]:
    number, size, pause = payload
    time.sleep(pause)
    return number * number, "x" * size
