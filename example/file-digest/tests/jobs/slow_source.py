"""A source that yields an item only after the one before is done."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path


def items(inputs: Sequence[str]) -> Iterator[tuple[str, Path]]:
    for number in range(5):
        done = Path(inputs[0], str(number))
        yield str(number), done
        while not done.exists():
            time.sleep(0.01)


def work(payload: Path) -> None:
    payload.touch()
