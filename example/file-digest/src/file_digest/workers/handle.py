"""Main's view of one worker: its batches, its current item and its state."""

import logging
import random
import sys
from dataclasses import dataclass

from ..items.backlog import Backlog
from ..items.batch import Batch, WorkerDeath
from ..items.events import DIED, TIMED_OUT, WorkerNow
from ..items.in_flight import Answer, InFlight, part_before
from ..items.messages import IDLE, Ready, Released, StartFailed
from ..items.outcomes import Outcomes
from ..system.clock import Clock
from ..system.errors import WorkersCannotStartError

log = logging.getLogger(__name__)

START_ATTEMPTS = 5
LEFT = "it has left"
"""Reason of a worker that was told to leave, and did so in good order."""
SURPLUS = "fewer workers are wanted"
"""Reason of a worker that leaves without a replacement."""
UNENDED = "lifespan() did not end within the grace period"
BACK_OFF_SECONDS = 0.05
MOST_BACK_OFF_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Gone:
    """A worker has ended, or cannot be reached any more."""


@dataclass(frozen=True, slots=True)
class HasRoom:
    """Everything for a worker has been sent, so its socket takes more."""


Event = Ready | StartFailed | Answer | Gone | HasRoom


class WorkerHandle:
    """One worker's state; only these methods change it."""

    def __init__(self, name: str, backlog: Backlog, clock: Clock) -> None:
        """Describe a worker that is started about now."""
        self.name, self.in_flight, self.clock = name, InFlight(backlog), clock
        self.pid = self.place = 0
        self.ready = self.stalled = False
        self.proven = False
        """Whether it ever began a task."""
        self.has_lifespan = False
        """Whether it has something to tear down at its end."""
        self.leave_by = float("inf")
        """Deadline for its end, once it was told to leave; by ``clock``."""
        self.items_left = sys.maxsize
        """Number of items that it may still be given."""
        self.memory = 0
        """Its memory at the last check, in bytes; 0 if it is not known."""
        self.retiring = ""
        """The reason to replace it, once it has done its items; empty if there is none."""
        self.reason = ""
        """The reason to end it, or why it could not start; empty if there is none."""
        self.cause = DIED
        """The cause in a word, for ``WorkerEvents.replaced``."""
        self.stack = ""
        """Its Python stack when it was killed or crashed, if there is one."""
        self.late: int | None = None
        """Number of the item that took too long, if it is killed for that."""
        self.asked_at: float | None = None
        """Time at which it was asked for its stack, until it is killed; by ``clock``."""
        self.current = IDLE
        self.started = self.since = self.clock.now()
        self.revocations = 0
        """Number of revocations of the items behind the current one."""

    @property
    def busy(self) -> bool:
        """Whether it has an item."""
        return bool(self.in_flight)

    @property
    def leaving(self) -> bool:
        """Whether it was told to leave."""
        return self.leave_by < float("inf")

    @property
    def key(self) -> str | None:
        """The key of its current item; None if it has none."""
        return self.in_flight.key(self.current)

    def described(self, epoch: float, memory: int) -> WorkerNow:
        """Return its state, given the time of its clock's zero and its memory in bytes."""
        since = self.since + epoch if self.key else None
        return WorkerNow(self.name, self.pid, self.key, since, memory)

    def has_room(self, depth: int) -> bool:
        """Whether it may have another batch, of at most ``depth`` at a time."""
        few = len(self.in_flight.batches) < depth  # first, for it rules out most
        ends = self.reason or self.leaving or self.retiring
        return few and self.ready and not (self.stalled or ends)

    def overdue(self, now: float, limit: float | None, start_timeout: float) -> str:
        """Return the reason to kill it, or an empty text; ``limit`` is of its item, in seconds."""
        if not self.ready and now - self.started > start_timeout:
            return f"not ready after {start_timeout:g} s"
        if now > self.leave_by:
            return UNENDED
        if limit and self.busy and now - self.since > limit:
            return f"timed out after {limit:g} s"
        return ""

    def holds_up_others(self, now: float, seconds: float) -> bool:
        """Whether items have waited for ``seconds`` behind its current one."""
        return now - self.since > seconds and self.in_flight.open_items > 1

    def became_ready(self, message: Ready, items: int | None) -> None:
        """Note that it can do tasks, and the number of items before it is replaced, if any."""
        self.ready, self.pid, self.has_lifespan = True, message.pid, message.has_lifespan
        self.items_left = items or sys.maxsize

    def retire(self, reason: str) -> None:
        """Note why it is to be replaced; it gets nothing more."""
        self.retiring = self.retiring or reason

    def leave(self, seconds: float) -> None:
        """Note that it was told to leave, and may take ``seconds``."""
        self.leave_by = self.clock.now() + seconds

    def assign(self, batch: Batch) -> None:
        """Note that it was given a batch."""
        if not self.busy:
            self._progressed()
        self.in_flight.put(batch)
        self.items_left -= len(batch.pairs)
        if self.items_left <= 0:
            self.retire("it has had its number of items")

    def observe(self, current: int) -> None:
        """Note its current item; a worker that ever began a task is proven."""
        if current != self.current:
            self.current, self.proven = current, True
            self._progressed()

    def resolve(self, answer: Answer) -> list[Outcomes]:
        """Turn its answer into outcomes; an item that is late has none."""
        if self.late is not None and not isinstance(answer, Released):
            if not (before := part_before(answer, self.late)):
                return []
            answer = before
        outcomes = self.in_flight.resolve(answer, self.name)
        self.proven = self.proven or bool(outcomes)
        self.stalled = self.stalled and self.busy
        return outcomes

    def revoke(self) -> None:
        """Note that it has to release its waiting items; until it has, it gets no batch."""
        self.stalled = True
        self.revocations += 1

    def expired(self, reason: str, cause: str = DIED) -> None:
        """Note why it is killed; the first reason stays."""
        if not self.reason:
            self.reason, self.cause = reason, cause

    def timed_out(self, reason: str) -> None:
        """Note that its current item, or its start, takes too long; it is to be killed."""
        self.expired(reason, TIMED_OUT)
        self.late = self.at_hand if self.busy else None

    @property
    def at_hand(self) -> int | None:
        """Number of its current item, or its current task; None if it is not known."""
        return None if self.current == IDLE else self.current

    def died(self, how: str) -> list[Outcomes]:
        """Count the attempt of its current item, take back all others; ``reason`` becomes final."""
        self.expired(how)
        seconds, memory = self.clock.now() - self.since, self.memory or None
        death = WorkerDeath(self.name, self.reason, seconds, self.stack, memory)
        return self.in_flight.lose(self.current if self.late is None else self.late, death)

    def _progressed(self) -> None:
        if self.late is None:  # else nothing counts any more
            self.since, self.revocations = self.clock.now(), 0


class RestartBackoff:
    """Counts failed starts in a row, and delays the next one."""

    def __init__(self, clock: Clock) -> None:
        """Begin without failures."""
        self.clock = clock
        self.failures = 0
        self.failed_at = self.not_before = 0.0

    @property
    def wait(self) -> float:
        """Seconds until the next start may be tried."""
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
        log.error("a worker failed to start (failure %d in a row): %s", self.failures, reason)
        if self.failures >= START_ATTEMPTS and not others_work:
            raise WorkersCannotStartError(reason)
        delay = min(BACK_OFF_SECONDS * 2**self.failures, MOST_BACK_OFF_SECONDS)
        self.not_before = self.failed_at + delay * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
