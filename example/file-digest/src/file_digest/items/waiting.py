"""Items that wait until they are tried again."""

import random
import time
from heapq import heappop, heappush
from itertools import count

from .messages import Item

RETRY_DELAY = 1.0
MOST_RETRY_DELAY = 300.0
MOST_WAITING = 1_000
"""Number of waiting items at which no new ones are read."""


class Waiting:
    """Items whose ``work`` raised a type in ``RETRY``; they occupy no worker."""

    def __init__(self, delay: float = RETRY_DELAY) -> None:
        """Let an item wait ``delay`` seconds, doubled each time, up to ``MOST_RETRY_DELAY``."""
        self.delay, self.numbers = delay, count()
        self.heap: list[tuple[float, int, Item, int]] = []

    def __len__(self) -> int:
        """Count the items."""
        return len(self.heap)

    @property
    def full(self) -> bool:
        """Whether ``MOST_WAITING`` items wait: memory is bounded, and others would likely fail."""
        return len(self.heap) >= MOST_WAITING

    def put(self, pair: Item, attempts: int) -> float:
        """Add an item that was tried ``attempts`` times; return for how many seconds it waits.

        Jitter keeps those that failed together from coming again all at once.
        """
        most = max(MOST_RETRY_DELAY, self.delay)
        delay = min(self.delay * 2.0 ** min(attempts - 1, 30), most)
        delay *= random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        heappush(self.heap, (time.monotonic() + delay, next(self.numbers), pair, attempts))
        return delay

    def take_due(self) -> list[tuple[Item, int]]:
        """Return the items whose time has come, and how often each was tried."""
        due: list[tuple[Item, int]] = []
        while self.heap and self.heap[0][0] <= time.monotonic():
            due.append(heappop(self.heap)[2:])
        return due
