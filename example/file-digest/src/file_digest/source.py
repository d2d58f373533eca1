"""Reads the items that ``job.items`` yields: lazily, in a thread, a bounded number ahead."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from .messages import Pair

READ_AHEAD = 16


class Source:
    """Reads items in a thread of main, a bounded number ahead.

    A thread, because a source may block (names typed on standard input), and main must go on
    with outcomes, time limits and signals meanwhile.
    """

    def __init__(self, items: Iterable[Pair], wake: Callable[[], None]) -> None:
        """Read ``items`` lazily; call ``wake``, from the thread, when there is news for main."""
        self.items: Iterable[Any] = items  # as typed; whether it is so is seen as they come
        self.wake = wake
        self.ready: deque[Pair] = deque()
        self.ahead = READ_AHEAD
        self.error: BaseException | None = None
        self.finished = self.stopped = False
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

    def take(self) -> list[Pair]:
        """Return the items that are there by now; never blocks."""
        self.hungry = True  # before the look: what comes in between wakes main
        pairs = [self.ready.popleft() for _ in range(len(self.ready))]
        self.hungry = not pairs
        self.room.set()
        return pairs

    @property
    def exhausted(self) -> bool:
        """Whether nothing will come any more."""
        return self.finished and not self.ready

    def _read(self) -> None:
        try:
            for pair in self.items:
                if not (type(pair) is tuple and len(pair) == 2 and type(pair[0]) is str):
                    _check_pair(pair)  # by itself, the call would cost as much as all the rest
                self.ready.append(pair)
                if self.hungry:
                    self.hungry = False
                    self.wake()
                while len(self.ready) >= self.ahead and not self.stopped:
                    self.room.clear()
                    if len(self.ready) >= self.ahead:
                        self.room.wait(1.0)
                if self.stopped:
                    break
        except BaseException as error:  # the owner's code: main reports whatever it raised
            self.error = error
        self.finished = True
        self.wake()


def _check_pair(pair: object) -> None:
    if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
        raise TypeError(f"items() must yield (str key, payload) tuples, but it gave {pair!r:.200}")
