"""The execution model: dask.distributed, on one machine or many.

    Backlog ── Batch ──▶ Supervisor ── Cluster ── dask ──▶ desk.py in a dask worker
       ▲                     │  ▲                              │
       └── what a dead ──────┘  └────── Report, GivenBack ─────┘
           worker had

Each batch is a dask task that is pinned to one worker: so it is known what a worker that is gone
had, and nothing runs twice that need not. Starting workers anew is the business of dask's nannies.
"""

import logging
import selectors
from collections import deque
from collections.abc import Generator
from typing import TYPE_CHECKING

from .batches import Backlog, Batch, Death, Sizer
from .clock import Clock
from .configurer import LogSetup
from .desk import Left, Opened, unknown_part
from .files import leave_lost_folder
from .messages import (
    GivenBack,
    Report,
    StartFailed,
    Unreadable,
    WorkersCannotStartError,
)
from .outcomes import NOTHING, Outcomes
from .processes import continue_helpers
from .settings import EngineOption, Settings
from .signals import Stop
from .worker import IDLE, whole_task

if TYPE_CHECKING:
    from .cluster import Cluster, News

log = logging.getLogger(__name__)

OPTIONS = (
    EngineOption("--scheduler", "Address of a dask scheduler, tcp://host:port. [a local cluster]"),
    EngineOption("--scheduler-file", "File that a dask scheduler wrote.", is_path=True),
    EngineOption("--no-dashboard", "Show no dashboard of the local cluster.", is_flag=True),
    EngineOption("--tls-ca", "Certificate of the authority that all sides trust.", is_path=True),
    EngineOption("--tls-cert", "Certificate of this side.", is_path=True),
    EngineOption("--tls-key", "Key of that certificate.", is_path=True),
)
TICK = 0.1
BATCH_SECONDS = 0.1
"""Longer than with workers of our own: a task costs dask some milliseconds."""
PREFETCH = 2
RECALL_SECONDS = 0.2
START_ATTEMPTS = 5
START_SECONDS = 60.0
KILL_SECONDS = 5.0
GOODBYE_SECONDS = 30.0
END_SECONDS = 1.0


def run(backlog: Backlog, settings: Settings, logs: LogSetup, stop: Stop) -> Generator[Outcomes]:
    """Do the items of a backlog; yield outcomes as they complete, at least once a ``TICK``.

    Without news it yields ``NOTHING``, a chance for main to see to other things. Once ``stop`` says
    so, no item starts, running ones may finish until its deadline, and the rest is left undone.

    Raises:
        EngineRefusedError: The cluster will not do: unreachable, another version.
        EngineLostError: The scheduler is gone.
        WorkersCannotStartError: After ``START_ATTEMPTS``, or ``START_SECONDS`` without a worker.
    """
    from .cluster import Cluster  # noqa: PLC0415 - it takes a second to import dask

    backlog.sizer = Sizer(min(BATCH_SECONDS, (settings.item_timeout or BATCH_SECONDS) / 2))
    supervisor = Supervisor(backlog, settings, Cluster(settings, logs, stop), stop)
    try:
        while supervisor.has_work():
            yield from supervisor.turn() or [NOTHING]
    finally:
        supervisor.end()


class Seat:
    """Main's view of one dask worker that is ready."""

    def __init__(self, address: str, name: str, clock: Clock) -> None:
        """Watch a worker."""
        self.address, self.name, self.clock = address, name, clock
        self.batches: deque[Batch] = deque()
        self.reason = ""
        self.stalled = self.proven = False
        self.killed = 0.0
        self.since = self.recalled = self.clock.now()

    @property
    def open_items(self) -> int:
        """How many items it has that are not reported."""
        return sum(batch.end - batch.done for batch in self.batches)

    @property
    def tasks(self) -> list[range]:
        """The numbers of the items of each batch."""
        return [range(batch.first, batch.first + len(batch.pairs)) for batch in self.batches]

    def batch_of(self, number: int) -> Batch | None:
        """Return the batch that an item's number belongs to; None if that is settled."""
        fits = (b for b in self.batches if b.first <= number < b.first + len(b.pairs))
        return next(fits, None)

    def has_room(self, *, quick: bool) -> bool:
        """Whether it can take another batch.

        One whose single item is slow, or under suspicion, gets no second: if it dies, nothing
        else is in doubt.
        """
        if self.reason or self.stalled or not self.batches:
            return not (self.reason or self.stalled)
        return quick and len(self.batches) < PREFETCH and len(self.batches[0].pairs) > 1

    def progressed(self) -> None:
        """Note that it is at another item than before, and forget batches without open items."""
        self.batches = deque(batch for batch in self.batches if batch.done < batch.end)
        self.since = self.clock.now()
        self.stalled = self.stalled and bool(self.batches)


class Supervisor:
    """Moves batches to workers and reports back, and decides what happens when either hangs."""

    def __init__(
        self, backlog: Backlog, settings: Settings, cluster: "Cluster", stop: Stop
    ) -> None:
        """Start nothing yet."""
        self.backlog, self.settings, self.stop = backlog, settings, stop
        self.clock = stop.clock
        self.cluster = cluster
        self.selector = selectors.DefaultSelector()
        self.selector.register(stop.waker, selectors.EVENT_READ)
        self.started = False
        self.seats: dict[str, Seat] = {}
        self.failures, self.last_failure = 0, ""
        self.alone_since = self.clock.now()
        self.tick = min(TICK, (settings.item_timeout or TICK) / 4)
        self.next_look = 0.0

    def has_work(self) -> bool:
        """Whether an item is open or will be."""
        if self.stop.requested and not self.backlog.stopped:
            self.backlog.stop()
            for seat in self.seats.values():
                self.cluster.recall(seat.address, seat.tasks, stopping=True)
        if self.stop.requested and self.stop.time_is_up:
            return False
        return not self.backlog.exhausted or any(seat.batches for seat in self.seats.values())

    def turn(self) -> list[Outcomes]:
        """Hand out batches, wait for news at most a tick, and return the outcomes."""
        if not self.started and self.backlog.has_some:
            self.started, self.alone_since = True, self.clock.now()
            self.cluster.start()
        self._feed()
        outcomes = self.backlog.take_failed()
        if self.selector.select(0 if outcomes else self.tick):
            self.stop.clear_waker()
        if self.cluster.error:
            raise self.cluster.error
        while self.cluster.news:
            outcomes += self._take(*self.cluster.news.popleft())
        if self.clock.now() >= self.next_look:
            outcomes += self._look_after_workers()
        return outcomes

    def end(self) -> None:
        """Leave the cluster; workers that still hold an item are killed at once."""
        busy = [seat.address for seat in self.seats.values() if seat.batches]
        self.cluster.close(busy, END_SECONDS if busy or self.stop.requested else GOODBYE_SECONDS)
        self.selector.close()

    def _feed(self) -> None:
        for _ in range(PREFETCH):
            for seat in list(self.seats.values()):
                alone = bool(self.backlog.alone)
                if not seat.has_room(quick=self.backlog.sizer.size > 1 and not alone):
                    continue
                if not (work := self.backlog.next_batch()):
                    return
                batch, task = work
                if not seat.batches:
                    seat.since = self.clock.now()
                seat.batches.append(batch)
                self.cluster.submit(seat.address, task)

    def _take(self, address: str, news: "News") -> list[Outcomes]:
        outcomes: list[Outcomes] = []
        seat = self.seats.get(address)
        match news:
            case StartFailed(reason):
                self._failed(reason)
                self.cluster.replace(address)
            case Report() | GivenBack() | Unreadable() if seat:
                outcomes = self._settle(seat, news)
            case Left(reason, held):
                outcomes = self._lost(address, reason, held)
            case Opened():
                self._welcome(address, news)
        return outcomes

    def _welcome(self, address: str, opened: Opened) -> None:
        self.seats[address] = Seat(address, opened.name, self.clock)
        log.info("%s is ready, pid %d", opened.name, opened.pid)
        if opened.threads > 1:
            log.warning(
                "%s has %d threads for tasks, but does one item at a time: start dask workers with "
                "--nthreads 1 and more --nworkers",
                opened.name,
                opened.threads,
            )

    def _failed(self, reason: str) -> None:
        """Count a worker that was of no use; its nanny starts another.

        Raises:
            WorkersCannotStartError: ``START_ATTEMPTS`` in a row, and no other worker is there.
        """
        self.failures += 1
        self.last_failure = reason
        log.error("a worker failed to start, for the %d. time: %s", self.failures, reason)
        if self.failures >= START_ATTEMPTS and not self.seats:
            raise WorkersCannotStartError(reason)

    def _settle(self, seat: Seat, answer: Report | GivenBack | Unreadable) -> list[Outcomes]:
        """Take an answer; what it says may have been told before."""
        outcomes, before = list[Outcomes](), seat.open_items
        seat.proven, self.failures = True, 0
        match answer:
            case Report(first) if batch := seat.batch_of(first):
                if news := unknown_part(answer, batch.first + batch.done):
                    outcomes = [self.backlog.completed(batch, news, seat.name)]
            case Unreadable(first, reason) if batch := seat.batch_of(first):
                outcomes = self.backlog.unreadable(batch, reason, seat.name)
            case GivenBack(numbers):
                for given in numbers:
                    batch = seat.batch_of(given.start)
                    if batch and given.start < batch.first + batch.end:
                        self.backlog.give_back(batch, given)
        if seat.open_items != before:
            seat.progressed()
        return outcomes

    def _look_after_workers(self) -> list[Outcomes]:
        """Kill what hangs, recall what waits behind a slow item, give up what cannot be killed.

        Raises:
            WorkersCannotStartError: No worker is there, and none came.
        """
        now, outcomes = self.clock.now(), list[Outcomes]()
        self.next_look = now + self.tick
        continue_helpers()  # from whom dask's nannies learn that a worker ended
        leave_lost_folder()  # or they cannot start another
        for seat in list(self.seats.values()):
            if seat.reason and now - seat.killed > KILL_SECONDS:
                outcomes += self._lost(seat.address, "", None)
            elif not seat.reason and (reason := self._overdue(seat, now)):
                seat.reason, seat.killed = reason, now
                self.cluster.kill(seat.address)
            elif seat.open_items > 1 and now - max(seat.recalled, seat.since) > RECALL_SECONDS:
                seat.stalled, seat.recalled = True, now
                self.cluster.recall(seat.address, seat.tasks, stopping=self.stop.requested)
        at_work = [seat for seat in self.seats.values() if seat.open_items]
        self.backlog.holding = {
            seat.name: (seat.batches[0].open[0][0], seat.since + self.clock.stood)
            for seat in at_work
        }
        if self.seats or not self.started:
            self.alone_since = now
        elif now - self.alone_since > START_SECONDS:
            reason = self.last_failure or f"no dask worker came in {START_SECONDS:g} s"
            raise WorkersCannotStartError(reason)
        return outcomes

    def _overdue(self, seat: Seat, now: float) -> str:
        limit = self.settings.item_timeout
        if limit and seat.batches and now - seat.since > limit:
            return f"timed out after {limit:g} s"
        return ""

    def _lost(self, address: str, reason: str, held: int | None) -> list[Outcomes]:
        seat = self.seats.pop(address, None)
        if not seat or (held == IDLE and not seat.proven):
            self._failed(reason)
        if not seat:
            return []
        reason = seat.reason or reason
        log.warning("%s is gone: %s", seat.name, reason)
        death = Death(seat.name, reason, self.clock.now() - seat.since)
        outcomes: list[Outcomes] = []
        for batch in seat.batches:
            if held is None:  # the first batch was at hand, any other had not begun
                single = batch.end - batch.done == 1
                held = batch.first + batch.done if single else whole_task(batch.first)
            outcomes += self.backlog.lost(batch, held, death)
        return outcomes
