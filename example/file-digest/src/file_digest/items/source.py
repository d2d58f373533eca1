"""Reads the items that ``job.items`` yields: lazily, in a thread, a bounded number ahead."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from inspect import isgenerator
from itertools import chain, islice
from multiprocessing import connection
from typing import Any

from ..system.clock import back_off
from ..system.errors import describe
from ..system.signals import StopRequest
from ..system.text import text_of
from .messages import ContractError, Item
from .payloads import frozen
from .refusals import is_refusal

log = logging.getLogger(__name__)

READ_AHEAD = 16
BULK_ITEMS = 255
BULK_SECONDS = 0.001
LOOK_SECONDS = 1.0
CLOSE_SECONDS = 0.2
FIRST_SECONDS = 0.5
"""Seconds that main waits for a generator's first item before it goes on without it."""


class Source:
    """Calls ``job.items`` and reads what it returns, in one thread of main, a bounded number ahead.

    A thread, because a source may block (names typed on standard input), and main must go on
    with outcomes, time limits and signals meanwhile. One thread for both, because much of what
    items come from belongs to the thread that made it, as a database cursor does.
    """

    def __init__(
        self,
        call: Callable[[], Iterable[Item]],
        wake: Callable[[], None],
        poll: float | None = None,
    ) -> None:
        """Prepare; ``start`` begins.

        Args:
            call: Returns the items.
            wake: Called, from the thread, for each change.
            poll: Seconds after which ``call`` is called again once all is read; None is never.
        """
        self.call, self.wake, self.poll = call, wake, poll
        self.ready: deque[Item] = deque()
        self.ahead = READ_AHEAD
        self.bulk = 0
        self.error: BaseException | None = None
        self.called = self.begun = self.refused = self.finished = self.stopped = False
        """``begun``: the job has checked its inputs; a generator does so before its first item."""
        self.hungry = True
        self.failures = 0
        self.resting = False
        """Whether no item came since the last call ended: the next one may wait for items."""
        self.room, self.wanted, self.ended = (threading.Event() for _ in range(3))
        self.thread = threading.Thread(target=self._live, name="source", daemon=True)

    def start(self) -> None:
        """Call ``call`` in the thread. Before ``read`` a generator's first item is read at most."""
        self.thread.start()

    def await_call(self, stop: StopRequest) -> None:
        """Wait until the call has returned, or raised, or ``stop`` is requested.

        A generator only begins then, so its first item is waited for, up to ``FIRST_SECONDS``.
        """
        while not (self.called or stop.requested):
            self._await_wake(stop, LOOK_SECONDS)
        deadline = time.monotonic() + FIRST_SECONDS
        while not (self.begun or stop.requested) and (left := deadline - time.monotonic()) > 0:
            self._await_wake(stop, left)

    def read(self) -> None:
        """Begin to read."""
        self.wanted.set()

    def stop(self) -> None:
        """Read no more. The thread itself may be blocked, so this does not wait for it."""
        self.stopped = True
        for event in (self.room, self.wanted, self.ended):
            event.set()

    def close(self) -> None:
        """Read no more, and let the owner's generator end in its thread, for ``CLOSE_SECONDS``."""
        self.stop()
        if self.thread.is_alive():
            self.thread.join(CLOSE_SECONDS)

    def take(self, *, hungry: bool = True) -> list[Item]:
        """Return the items that are there by now; never blocks.

        Args:
            hungry: Whether the next item is to wake main, if there is none now.
        """
        self.hungry = hungry  # before the look: what comes in between wakes main
        pairs = [self.ready.popleft() for _ in range(len(self.ready))]
        self.hungry = hungry and not pairs
        self.room.set()
        return pairs

    @property
    def exhausted(self) -> bool:
        """Whether no further item will come."""
        return self.finished and not self.ready

    @staticmethod
    def _await_wake(stop: StopRequest, seconds: float) -> None:
        connection.wait([stop.waker], seconds)
        stop.clear_waker()

    def _live(self) -> None:
        delay: float | None = 0.0
        while delay is not None and not self.ended.wait(min(delay, threading.TIMEOUT_MAX)):
            try:
                self._read_all()
                delay, self.failures = self.poll, 0
            except BaseException as error:  # the owner's code: main reports whatever it raised
                delay = self._back_off(error)
            self.called = self.begun = self.resting = True
            self.wake()
        self.finished = True
        self.wake()

    def _read_all(self) -> None:
        items = _iterator(self.call())
        self.called = True
        self.wake()
        first = list(islice(items, int(isgenerator(items))))
        self.begun = True
        self.wake()
        self.wanted.wait()
        if not self.stopped:
            self._read(chain(first, items))
        if isgenerator(items):
            _close(items)

    def _back_off(self, error: BaseException) -> float | None:
        """Return the seconds until the next call; None if there is no other call."""
        self.refused = not self.begun and is_refusal(error)
        if self.poll is None or self.refused or not isinstance(error, Exception):
            self.error = error
            return None
        delay = back_off(self.failures)
        self.failures += 1
        log.error("items() raised, and is called again in %.1f s:\n%s", delay, describe(error))
        return delay

    def _read(self, items: Iterator[Item]) -> None:
        began = time.perf_counter()
        for pair in items:
            self.resting = False
            self.ready.append(frozen(pair))
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

    def _await_room(self) -> None:
        while len(self.ready) >= self.ahead and not self.stopped:
            self.room.clear()
            if len(self.ready) >= self.ahead:
                self.room.wait(1.0)

    def _read_more(self, items: Iterator[Item]) -> None:
        """Read at the iterator's own speed, while main has enough to do.

        Each item is frozen before the next is asked for: ``map`` is lazy. These do not wake main;
        if it runs out of others, it finds them at its next tick.
        """
        if not self.hungry:
            room = self.ahead - len(self.ready) - 1  # the next one comes by itself
            self.ready.extend(map(frozen, islice(items, max(0, min(self.bulk, room)))))


def _close(items: Generator[Any, Any, Any]) -> None:
    """End a generator that is not to be read to its end; log what it raises then."""
    try:
        items.close()
    except BaseException as error:  # the owner's code
        log.error("items() raised at its end:\n%s", describe(error))  # noqa: TRY400 - all in one


def _iterator(items: Iterable[Item]) -> Iterator[Item]:
    """Begin on what ``items()`` returned.

    Raises:
        ContractError: It is not an iterable of pairs.
    """
    if not isinstance(items, (str, bytes, dict)):
        try:
            return iter(items)
        except TypeError:
            if hasattr(type(items), "__iter__"):
                raise  # by the owner's own iterator
    if close := getattr(items, "close", None):
        close()  # or a coroutine complains that nobody awaited it
    raise ContractError(
        "items() must return an iterable of (str key, payload) tuples, but it returned "
        f"{text_of(items):.200}"
    )
