"""One item that logs without end."""

import logging
from collections.abc import Sequence


def items(inputs: Sequence[str]) -> list[tuple[str, int]]:
    return [("a", 1)]


def work(payload: int) -> None:
    while True:
        logging.getLogger().info("full")
