"""Main's watch over its worker processes: who is ready, what each holds and since when."""

import logging
import random
from collections.abc import MutableSequence
from multiprocessing import connection
from multiprocessing.process import BaseProcess

from ..items.in_flight import Tray
from ..items.messages import Ready, StartFailed, WorkersCannotStartError
from ..items.outcomes import Outcomes
from ..system.clock import Clock
from ..system.processes import exitcode_of
from ..worker import IDLE
from .connection import Link

log = logging.getLogger(__name__)

RECALL_SECONDS = 0.1
"""How long a worker may be at one item before what waits behind it is taken back."""
START_ATTEMPTS = 5
START_SECONDS = 60.0
BACK_OFF_SECONDS = 0.05
MOST_BACK_OFF_SECONDS = 5.0


class Watched:
    """Main's view of one worker process."""

    def __init__(
        self,
        process: BaseProcess,
        link: Link,
        slots: MutableSequence[int],
        index: int,
        clock: Clock,
    ) -> None:
        """Watch a process that is started about now and whose slot is ``slots[index]``."""
        self.process, self.link, self.slots, self.index = process, link, slots, index
        self.name = process.name
        self.ready = self.proven = self.recalled = False
        self.reason = ""
        self.held = IDLE
        self.started = self.since = clock.now()

    @property
    def exitcode(self) -> int | None:
        """How its process ended; None if it lives."""
        return exitcode_of(self.process)

    @property
    def sentinel(self) -> int:
        """What is ready when its process has ended."""
        return self.process.sentinel

    def observe(self, now: float) -> bool:
        """Note since when it holds what its slot says; one that ever began a task is proven.

        Returns:
            Whether it holds something else than when it was last observed.
        """
        if (held := self.slots[self.index]) == self.held:
            return False
        self.held, self.since = held, now
        self.proven, self.recalled = True, False
        return True

    def hear(self, tray: Tray) -> tuple[list[Outcomes], bool]:
        """Take what its line brings; return the outcomes, and whether the line has ended."""
        outcomes: list[Outcomes] = []
        try:
            for message in self.link.receive():
                match message:
                    case Ready():
                        self.ready = True
                        log.info("%s is ready, pid %d", self.name, self.process.pid)
                    case StartFailed(reason):
                        self.reason = reason
                    case _:
                        outcomes += tray.take(message, self.name)
        except EOFError:
            return outcomes, True
        finally:
            self.proven = self.proven or bool(outcomes)
        return outcomes, False

    def last_words(self, tray: Tray) -> list[Outcomes]:
        """Take everything that it sent before it died; its children may hold the line open."""
        outcomes, ended = list[Outcomes](), False
        while not ended and connection.wait([self.link.sock], 0):
            more, ended = self.hear(tray)
            outcomes += more
        return outcomes

    def overdue(self, now: float, limit: float | None, *, busy: bool) -> str:
        """Return why it is to be killed, or nothing.

        Args:
            now: The time.
            limit: Seconds that it may be at one item.
            busy: Whether it is at one.
        """
        if not self.ready and now - self.started > START_SECONDS:
            return f"not ready after {START_SECONDS:g} s"
        if limit and busy and now - self.since > limit:
            return f"timed out after {limit:g} s"
        return ""


class Starts:
    """How often starts failed in a row, and when the next may be tried."""

    def __init__(self, clock: Clock) -> None:
        """Begin without failures."""
        self.clock = clock
        self.failures = 0
        self.failed_at = self.not_before = 0.0

    @property
    def wait(self) -> float:
        """Seconds until the next start may be tried; 0 where it may at once."""
        return max(0.0, self.not_before - self.clock.now())

    def succeeded(self) -> None:
        """Note that a worker works."""
        self.failures = 0

    def failed(self, started: float, reason: str, *, others_work: bool) -> None:
        """Count a failed start and wait before the next, twice as long each time.

        Raises:
            WorkersCannotStartError: ``START_ATTEMPTS`` in a row failed and no other worker works.
        """
        if self.failures and started < self.failed_at:
            return  # it was started together with one that failed already
        self.failures += 1
        self.failed_at = self.clock.now()
        log.error("a worker failed to start, for the %d. time: %s", self.failures, reason)
        if self.failures >= START_ATTEMPTS and not others_work:
            raise WorkersCannotStartError(reason)
        delay = min(BACK_OFF_SECONDS * 2**self.failures, MOST_BACK_OFF_SECONDS)
        self.not_before = self.failed_at + delay * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
