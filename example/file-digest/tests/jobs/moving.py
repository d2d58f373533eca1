"""Does what the environment says: at its import, in items() and in work()."""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence

exec(os.environ.get("AT_IMPORT", ""))


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    exec(os.environ.get("IN_ITEMS", ""))
    for n in range(10):
        time.sleep(0.02)
        yield f"item-{n}", n


def work(n: int) -> int:
    exec(os.environ.get("IN_WORK", ""))
    return n
