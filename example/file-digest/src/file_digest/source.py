"""Reads the items that ``job.items`` yields: lazily, in a thread, a bounded number ahead."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from .messages import Pair

READ_AHEAD = 16
BULK_ITEMS = 255
BULK_SECONDS = 0.001


class Source:
    """Reads items in a thread of main, a bounded number ahead.

    A thread, because a source may block (names typed on standard input), and main must go on
    with outcomes, time limits and signals meanwhile.
    """

    def __init__(self, items: Iterable[Pair], wake: Callable[[], None]) -> None:
        """Read ``items`` lazily; call ``wake``, from the thread, when there is news for main."""
        self.items = items
        self.wake = wake
        self.ready: deque[Pair] = deque()
        self.ahead = READ_AHEAD
        self.bulk = 0
        self.error: BaseException | None = None
        self.finished = self.stopped = self.refused = False
        self.hungry = True
        self.room = threading.Event()
        self.thread = threading.Thread(target=self._read, name="source", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self.thread.start()

    def stop(self) -> None:
        """Read no more. The thread itself may be blocked, so nobody waits for it."""
        self.stopped = True
        self.room.set()

    def take(self, *, hungry: bool = True) -> list[Pair]:
        """Return the items that are there by now; never blocks.

        Args:
            hungry: Whether the next item is to wake main, if there is none now.
        """
        self.hungry = hungry  # before the look: what comes in between wakes main
        pairs = [self.ready.popleft() for _ in range(len(self.ready))]
        self.hungry = hungry and not pairs
        self.room.set()
        return self._checked(pairs)

    @property
    def exhausted(self) -> bool:
        """Whether nothing will come any more."""
        return self.refused or (self.finished and not self.ready)

    def _read(self) -> None:
        try:
            items = iter(self.items)
            began = time.perf_counter()
            for pair in items:
                self.ready.append(pair)
                if self.hungry:
                    self.hungry = False
                    self.wake()
                quick = time.perf_counter() - began < BULK_SECONDS
                self.bulk = min(2 * self.bulk + 1, BULK_ITEMS) if quick else 0
                self._await_room()
                if self.stopped:
                    break
                began = time.perf_counter()
                self._read_more(items)
        except BaseException as error:  # the owner's code: main reports whatever it raised
            self.error = self.error or error
        self.finished = True
        self.wake()

    def _await_room(self) -> None:
        while len(self.ready) >= self.ahead and not self.stopped:
            self.room.clear()
            if len(self.ready) >= self.ahead:
                self.room.wait(1.0)

    def _read_more(self, items: Iterator[Pair]) -> None:
        """Read at the iterator's own speed, while main has enough to do.

        Nobody wakes main for these; should it run out of others it finds them at its next tick.
        """
        if not self.hungry:
            room = self.ahead - len(self.ready) - 1  # the next one comes by itself
            self.ready.extend(islice(items, max(0, min(self.bulk, room))))

    def _checked(self, pairs: list[Pair]) -> list[Pair]:
        """Return what comes before the first that is no pair; that one ends the source."""
        if self.refused or not pairs:
            return []
        if {*map(type, pairs)} == {tuple} and {*map(len, pairs)} == {2}:  # many at a time
            keys = [key for key, _ in pairs]
            if {*map(type, keys)} == {str}:
                return pairs
        good = next((at for at, pair in enumerate(pairs) if not _is_pair(pair)), len(pairs))
        if good < len(pairs):
            self.error = TypeError(
                f"items() must yield (str key, payload) tuples, but it gave {pairs[good]!r:.200}"
            )
            self.refused = True
            self.stop()
        return pairs[:good]


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)
