"""A thread of main logs without end, while each worker leaves with its first item."""

import itertools
import logging
import os
import threading
from collections.abc import Iterator, Sequence

log = logging.getLogger(__name__)


def tick() -> None:
    for number in itertools.count(1):
        log.info("tick %d.", number)


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    threading.Thread(target=tick, daemon=True).start()
    return ((f"item-{n}", n) for n in range(200))


def work(number: int) -> None:
    log.info("item %d.", number)
    os._exit(1)
