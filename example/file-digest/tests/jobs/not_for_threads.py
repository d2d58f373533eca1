"""One item that ends the process of scale in which threads work."""

import multiprocessing
import os
from collections.abc import Sequence


def items(inputs: Sequence[str]) -> list[tuple[str, int]]:
    return [("a", 1)]


def work(payload: int) -> None:
    if multiprocessing.current_process().name == "threads":
        os._exit(7)
