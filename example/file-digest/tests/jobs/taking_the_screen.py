"""Does to the standard streams what the environment says: at import, in items() or in work()."""

import gc
import io
import logging
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress

assert sys.platform != "win32"
exec(os.environ.get("AT_IMPORT", ""))


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    exec(os.environ.get("IN_ITEMS", ""))
    return ((str(n), n) for n in range(10))


def work(n: int) -> int:
    with suppress(OSError, AttributeError):  # it was done before
        exec(os.environ.get("IN_WORK", ""))
    return n
