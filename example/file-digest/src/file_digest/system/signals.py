"""Signals of main: handlers only note, the loop acts."""

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from .clock import Clock
from .inheritance import MAINS_SIGNALS, handle

AGAIN_SECONDS = 0.5
"""``uv run``, timeout(1) and terminals may deliver one request twice, within milliseconds."""
IDLE_SECONDS = 0.5
LAST_SECONDS = 1.2
"""Seconds that main's own end may take once the grace period is over."""


class StopRequest:
    """Requests to stop main, and their deadline; also a socket that wakes its loop."""

    def __init__(self, grace: float, clock: Clock | None = None) -> None:
        """Allow ``grace`` seconds, by ``clock``, between the first request and the end."""
        self.grace, self.clock = grace, clock or Clock()
        self.requests: list[tuple[int, float]] = []
        """The signals that came, and when by ``time.monotonic``."""
        self.deadline: float | None = None
        self.reopen = self.announced = False
        self.waker, self._wake_end = socket.socketpair()
        self.waker.setblocking(False)
        self._wake_end.setblocking(False)

    @property
    def signals(self) -> list[int]:
        """The signals that came."""
        return [number for number, _ in self.requests]

    @property
    def requested(self) -> bool:
        """Whether a first signal came."""
        return bool(self.requests)

    @property
    def urgent(self) -> bool:
        """Whether a second signal came, and not just the first one twice."""
        return any(came - self.requests[0][1] >= AGAIN_SECONDS for _, came in self.requests)

    @property
    def time_is_up(self) -> bool:
        """Whether a second signal came, or the grace period has begun and is over."""
        return self.urgent or (self.deadline is not None and self.clock.now() >= self.deadline)

    @property
    def seconds_for_idle(self) -> float:
        """Seconds that idle workers get to leave while others are killed."""
        return 0.0 if self.urgent else IDLE_SECONDS

    @property
    def seconds_left(self) -> float:
        """Seconds that the end of main may take after a request to stop."""
        if self.urgent:
            return IDLE_SECONDS
        left = self.grace if self.deadline is None else self.deadline - self.clock.now()
        return max(0.0, left) + LAST_SECONDS

    def begin_grace(self) -> None:
        """Begin the grace period: running items may take as long."""
        self.deadline = self.clock.now() + self.grace

    def take_request(self) -> bool:
        """Return True once, after the first signal, for a message on the screen."""
        fresh, self.announced = self.requested and not self.announced, self.requested
        return fresh

    def take_reopen(self) -> bool:
        """Return whether SIGHUP came since the last call."""
        asked, self.reopen = self.reopen, False
        return asked

    def wake(self) -> None:
        """Make the loop turn once; from any thread."""
        with suppress(OSError):
            self._wake_end.send(b"\0")

    def clear_waker(self) -> None:
        """Take what woke the loop."""
        with suppress(BlockingIOError):
            while self.waker.recv(4096):
                pass

    def note(self, number: int, _frame: FrameType | None) -> None:
        """Handle SIGINT and SIGTERM."""
        self.requests.append((number, time.monotonic()))

    def note_reopen(self, _number: int, _frame: FrameType | None) -> None:
        """Handle SIGHUP."""
        self.reopen = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Install the handlers, except for ignored signals; restore the former ones at the end."""
        before = {number: signal.getsignal(number) for number in MAINS_SIGNALS}
        for number in (signal.SIGINT, signal.SIGTERM):
            handle(number, self.note)
        if sys.platform != "win32":
            handle(signal.SIGHUP, self.note_reopen)
        # The handlers run between two bytecodes; what wakes a waiting select is the byte that
        # Python itself writes: https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd
        fd = signal.set_wakeup_fd(self._wake_end.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            self.waker.close()
            self._wake_end.close()
