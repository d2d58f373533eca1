"""Does to the standard streams what the environment says, in items() or in work()."""

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    exec(os.environ.get("IN_ITEMS", ""))
    return ((str(n), n) for n in range(10))


def work(n: int) -> int:
    with suppress(OSError, AttributeError):  # it was done before
        exec(os.environ.get("IN_WORK", ""))
    return n
