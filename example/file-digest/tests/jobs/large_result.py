"""One item with a large result; it notes in which process it was done."""

import os
from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "large", inputs[0]


def work(payload: str) -> str:
    with open(payload, "a") as pids:
        print(os.getpid(), file=pids)
    return "x" * 50_000_000
