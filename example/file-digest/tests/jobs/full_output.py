"""Leaves standard output where nothing can be flushed to."""

import os
from collections.abc import Sequence
from typing import Any


def items(inputs: Sequence[str]) -> list[Any]:
    print("buffered", end="")
    os.close(1)
    os.open("/dev/full", os.O_WRONLY)
    return []


def work(payload: Any) -> Any:
    return payload
