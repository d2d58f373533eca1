"""The base of all contestants that have workers do many items."""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

WORKERS = 2
CONTEXT = multiprocessing.get_context("fork")

Work = Callable[[Any], Any]


class Peer:
    """Opens workers, yields results as they come, closes."""

    def __init__(self, chunk: int = 1) -> None:
        """Send that many items in one message, where the peer knows of chunks."""
        self.chunk = chunk
        self.workers, self.start_method = WORKERS, "fork"
        self.began = 0.0
        """Start of the first item after the warm-up, in seconds since the epoch."""
        self.pool: Any = None

    @property
    def warm(self) -> bool:
        """Whether all workers are up, as far as one can know."""
        return True

    def open(self) -> None:
        """Start the workers."""

    def results(self, work: Work, payloads: Iterable[Any]) -> Iterable[Any]:
        """Do the items."""
        raise NotImplementedError

    def close(self) -> None:
        """End the workers, in good order."""

    def counts(self, work: Work, payloads: Iterator[Any], _folder: Path) -> Iterator[int]:
        """Yield how many results have come since the last time; first, those of a warm-up."""
        self.open()
        yield len(list(self.results(work, islice(payloads, WORKERS))))
        self.began = time.time()
        yield self._count(work, payloads)

    def cold(self, work: Work, payloads: Iterator[Any], _folder: Path) -> int:
        """Start and do all items, without a warm-up; return how many results came."""
        self.open()
        return self._count(work, payloads)

    def _count(self, work: Work, payloads: Iterator[Any]) -> int:
        counter = count()
        deque(zip(self.results(work, payloads), counter, strict=False), maxlen=0)  # at C's speed
        return next(counter)
