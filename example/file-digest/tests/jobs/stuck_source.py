"""A source that executes the input after its first item."""

import sys
import time
from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    yield "first", 0
    exec(inputs[0])


def work(payload: int) -> int:
    return payload
