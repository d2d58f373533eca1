"""Items that do what the file ``behaviour`` says while they run, and note what they did."""

import ctypes
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

log = logging.getLogger(__name__)


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    return ((f"item-{number}", number) for number in range(int(inputs[0])))


def note(name: str, number: int) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"%d\n" % number)
    os.close(descriptor)


def work(payload: int) -> int:
    note("began", payload)
    exec(Path("behaviour").read_text(), globals())
    log.info("item-%d was done", payload)
    note("logged", payload)
    return payload
