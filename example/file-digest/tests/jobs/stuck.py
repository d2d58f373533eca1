"""A quick item and one that is stuck; it touches the file that the input names."""

import time
from collections.abc import Sequence
from pathlib import Path


def items(inputs: Sequence[str]) -> list[tuple[str, str]]:
    return [("quick", ""), ("stuck", inputs[0])]


def work(payload: str) -> None:
    if payload:
        Path(payload).touch()
        time.sleep(3600)
