"""So many items; each logs so many records, and fails if its number is the third input."""

import logging
from collections.abc import Iterator, Sequence

log = logging.getLogger(__name__)


def items(inputs: Sequence[str]) -> Iterator[tuple[str, tuple[int, int, bool]]]:
    count, records, bad = (*map(int, inputs), -1)[:3]
    return ((f"item-{n}", (n, records, n == bad)) for n in range(count))


def work(payload: tuple[int, int, bool]) -> float:
    item, records, fails = payload
    for number in range(records):
        log.info("record %d of item %d", number, item)
    return 1 / (not fails)
