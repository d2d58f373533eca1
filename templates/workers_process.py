"""The execution model: worker processes, supervised.

    Backlog ── Batch ──▶ Supervisor ── Link ──▶ worker process
       ▲                     │  ▲                    │
       └── what a dead ──────┘  └──── Report ────────┘
           worker had

Main shares nothing with a worker that a killed one could spoil: a socket pair of their own, and
one integer in shared memory that says which item the worker holds.
"""

import logging
import random
import selectors
import socket
import time
from collections import deque
from collections.abc import Generator, MutableSequence
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawArray

from .batches import Backlog, Batch, Death
from .channel import Link, Station, ToMain
from .configurer import LogSetup, configure_worker
from .messages import (
    GivenBack,
    Goodbye,
    Outcome,
    Ready,
    Recall,
    Report,
    StartFailed,
    Unreadable,
    WorkersCannotStartError,
)
from .processes import (
    Bond,
    Lifeline,
    context_for,
    follow_main,
    how_it_ended,
    join_all,
    kill,
    start_process,
)
from .settings import EngineOption, Settings
from .signals import Stop
from .worker import IDLE, Bench, describe

log = logging.getLogger(__name__)

OPTIONS: tuple[EngineOption, ...] = ()
TICK = 0.1
PREFETCH = 3
"""Batches at hand in a worker while items are quick; one, where they are not."""
RECALL_SECONDS = 0.1
START_ATTEMPTS = 5
START_SECONDS = 60.0
BACK_OFF_SECONDS = 0.1
GOODBYE_SECONDS = 1.0


def run(
    backlog: Backlog, settings: Settings, logs: LogSetup, stop: Stop
) -> Generator[list[Outcome]]:
    """Do the items of a backlog; yield outcomes as they complete, at least once a ``TICK``.

    An empty list is a chance for main to see to other things. Once ``stop`` says so, no item
    starts, running ones may finish until its deadline, and the rest is left undone.

    Raises:
        WorkersCannotStartError: After ``START_ATTEMPTS`` with back-off.
    """
    supervisor = Supervisor(backlog, settings, logs, stop)
    try:
        while supervisor.has_work():
            yield supervisor.turn()
    finally:
        supervisor.end()


def worker_main(
    sock: socket.socket, slots: MutableSequence[int], index: int, bond: Bond, logs: LogSetup
) -> None:
    """Be a worker process."""
    follow_main(bond)
    configure_worker(logs)
    station = Station(sock)
    try:
        from . import job  # noqa: PLC0415 - the owner's code: what it raises is told to main
    except BaseException as error:
        station.send(StartFailed(describe(error)))
        raise SystemExit(1) from None
    station.serve(Bench(job.work, slots, index))


class Worker:
    """Main's view of one worker process."""

    def __init__(self, process: BaseProcess, index: int, link: Link) -> None:
        """Watch a process that was just started."""
        self.process, self.index, self.link = process, index, link
        self.name = process.name
        self.batches: deque[Batch] = deque()
        self.ready = self.stalled = False
        self.reason = ""
        self.held = IDLE
        self.started = self.since = self.recalled = time.monotonic()

    @property
    def open_items(self) -> int:
        """How many items it has that are not reported."""
        return sum(batch.end - batch.done for batch in self.batches)

    def batch_of(self, number: int) -> Batch:
        """Return the batch that an item's number belongs to."""
        return next(b for b in self.batches if b.first <= number < b.first + len(b.pairs))

    def observe(self, held: int, now: float) -> None:
        """Note since when it holds what its slot says."""
        if held != self.held:
            self.held, self.since = held, now

    def drop_finished(self) -> None:
        """Forget batches without open items."""
        self.batches = deque(batch for batch in self.batches if batch.done < batch.end)
        self.stalled = self.stalled and bool(self.batches)


class Crew:
    """The worker processes: started, replaced with back-off, ended."""

    def __init__(
        self, settings: Settings, logs: LogSetup, selector: selectors.BaseSelector
    ) -> None:
        """Prepare; ``fill`` starts them."""
        self.settings, self.logs, self.selector = settings, logs, selector
        self.context = context_for(settings.start_method)
        self.lifeline = Lifeline(settings.start_method)
        self.slots: MutableSequence[int] = RawArray("q", [IDLE] * settings.workers)
        self.workers: list[Worker] = []
        self.free = list(range(settings.workers))[::-1]
        self.started = self.failures = 0
        self.failed_at = self.not_before = 0.0

    def fill(self) -> None:
        """Start the workers that are missing; one at a time while they fail to start.

        Raises:
            WorkersCannotStartError: They failed ``START_ATTEMPTS`` times in a row.
        """
        while self.free and time.monotonic() >= self.not_before:
            if self.failures and not all(worker.ready for worker in self.workers):
                return
            try:
                self._start(self.free[-1])
            except OSError as error:  # no more processes or descriptors are to be had
                self.failed(time.monotonic(), f"{type(error).__name__}: {error}")
            else:
                self.free.pop()

    def failed(self, started: float, reason: str) -> None:
        """Count a failed start and wait before the next, twice as long each time.

        Raises:
            WorkersCannotStartError: It was the last attempt.
        """
        if self.failures and started < self.failed_at:
            return  # it was started together with one that failed already
        self.failures += 1
        self.failed_at = time.monotonic()
        log.error("a worker failed to start (%d of %d): %s", self.failures, START_ATTEMPTS, reason)
        if self.failures >= START_ATTEMPTS:
            raise WorkersCannotStartError(reason)
        delay = BACK_OFF_SECONDS * 2**self.failures * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        self.not_before = self.failed_at + delay

    def remove(self, worker: Worker) -> None:
        """Give up a worker that is gone; its place is free."""
        self.selector.unregister(worker.link.sock)
        worker.link.sock.close()
        kill(worker.process)
        self.workers.remove(worker)
        self.slots[worker.index] = IDLE
        self.free.append(worker.index)

    def end(self, seconds: float) -> None:
        """Say goodbye to all and wait that long; then kill."""
        for worker in self.workers:
            worker.link.send(Goodbye())
            worker.link.sock.close()
        join_all([worker.process for worker in self.workers], seconds)
        self.lifeline.close()

    def _start(self, index: int) -> None:
        ours, theirs = socket.socketpair()
        others = [worker.link.sock for worker in self.workers]
        bond = self.lifeline.bond(ours, *others)
        self.started += 1
        args = (theirs, self.slots, index, bond, self.logs)
        try:
            process = start_process(self.context, worker_main, args, f"worker-{self.started}")
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()  # or the end of a dead worker's stream is never seen
        worker = Worker(process, index, Link(ours))
        self.workers.append(worker)
        self.selector.register(ours, selectors.EVENT_READ, worker)


class Supervisor:
    """Moves batches to workers and reports back, and decides what happens when either hangs."""

    def __init__(self, backlog: Backlog, settings: Settings, logs: LogSetup, stop: Stop) -> None:
        """Start nothing yet."""
        self.backlog, self.settings, self.stop = backlog, settings, stop
        self.selector = selectors.DefaultSelector()
        self.selector.register(stop.waker, selectors.EVENT_READ, None)
        self.crew = Crew(settings, logs, self.selector)
        self.tick = min(TICK, (settings.item_timeout or TICK) / 4)
        self.next_look = 0.0

    def has_work(self) -> bool:
        """Whether an item is open or will be."""
        if self.stop.requested and not self.backlog.stopped:
            self.backlog.stop()
            self._recall_all()
        if self.stop.requested and self.stop.time_is_up:
            return False
        return not self.backlog.exhausted or any(worker.batches for worker in self.crew.workers)

    def turn(self) -> list[Outcome]:
        """Hand out batches, wait for news at most a tick, and return the outcomes."""
        if not self.backlog.stopped and self.backlog.has_some:
            self.crew.fill()
        self._feed()
        outcomes = self.backlog.take_failed()
        for key, events in self.selector.select(0 if outcomes else self.tick):
            if key.data is None:
                self.stop.clear_waker()
            else:
                outcomes += self._handle(key.data, events)
        if time.monotonic() >= self.next_look:
            outcomes += self._look_after_workers()
        return outcomes

    def end(self) -> None:
        """End all workers; those that still hold an item are killed at once."""
        busy = any(worker.batches for worker in self.crew.workers)
        self.crew.end(0.0 if busy else GOODBYE_SECONDS)
        self.selector.close()

    def _feed(self) -> None:
        depth = PREFETCH if self.backlog.sizer.quick else 1
        for wanted in range(depth):
            for worker in self.crew.workers:
                fit = worker.ready and not worker.stalled and not worker.link.outgoing
                if fit and len(worker.batches) <= wanted:
                    if not (work := self.backlog.next_batch()):
                        return
                    batch, task = work
                    if not worker.batches:
                        worker.since = time.monotonic()
                    worker.batches.append(batch)
                    worker.link.send(task)
                    self._watch(worker)

    def _watch(self, worker: Worker) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.link.outgoing else 0)
        if self.selector.get_key(worker.link.sock).events != wanted:
            self.selector.modify(worker.link.sock, wanted, worker)

    def _handle(self, worker: Worker, events: int) -> list[Outcome]:
        if events & selectors.EVENT_WRITE:
            worker.link.flush()
            self._watch(worker)
        outcomes: list[Outcome] = []
        if events & selectors.EVENT_READ:
            try:
                for message in worker.link.receive():
                    outcomes += self._take(worker, message)
            except EOFError:
                outcomes += self._lost(worker)
        return outcomes

    def _take(self, worker: Worker, message: ToMain) -> list[Outcome]:
        outcomes: list[Outcome] = []
        match message:
            case Ready():
                worker.ready, self.crew.failures = True, 0
                log.info("%s is ready, pid %d", worker.name, worker.process.pid)
            case StartFailed(reason):
                worker.reason = reason
            case Report(first):
                outcomes = self.backlog.completed(worker.batch_of(first), message, worker.name)
            case Unreadable(first, reason):
                outcomes = self.backlog.unreadable(worker.batch_of(first), reason, worker.name)
            case GivenBack(numbers):
                for given in filter(None, numbers):
                    self.backlog.give_back(worker.batch_of(given.start), given)
        worker.drop_finished()
        return outcomes

    def _look_after_workers(self) -> list[Outcome]:
        """Kill what hangs, find the dead, recall what waits behind a slow item."""
        now, outcomes = time.monotonic(), list[Outcome]()
        self.next_look = now + self.tick
        for worker in list(self.crew.workers):
            worker.observe(self.crew.slots[worker.index], now)
            if worker.process.exitcode is not None:
                # Its own children may hold its socket open, so that no end is seen.
                outcomes += self._lost(worker)
            elif reason := self._overdue(worker, now):
                worker.reason = reason
                kill(worker.process)
            elif (
                worker.open_items > 1 and now - max(worker.recalled, worker.since) > RECALL_SECONDS
            ):
                self._recall(worker)
        return outcomes

    def _overdue(self, worker: Worker, now: float) -> str:
        limit = self.settings.item_timeout
        if not worker.ready and now - worker.started > START_SECONDS:
            return f"not ready after {START_SECONDS:g} s"
        if limit and worker.batches and now - worker.since > limit:
            return f"timed out after {limit:g} s"
        return ""

    def _recall(self, worker: Worker) -> None:
        worker.stalled, worker.recalled = True, time.monotonic()
        worker.link.send(Recall())
        self._watch(worker)

    def _recall_all(self) -> None:
        for worker in self.crew.workers:
            if worker.batches:
                self._recall(worker)

    def _lost(self, worker: Worker) -> list[Outcome]:
        worker.process.join(1.0)
        if worker.process.exitcode is None:
            worker.reason = worker.reason or "worker closed its connection to main"
            kill(worker.process)
        outcomes = self._last_words(worker)
        held = self.crew.slots[worker.index]
        worker.observe(held, time.monotonic())
        ended = how_it_ended(worker.process.exitcode)
        if not worker.ready:
            self.crew.remove(worker)
            self.crew.failed(worker.started, worker.reason or f"died at its start: {ended}")
            return outcomes
        reason = worker.reason or f"worker died: {ended}"
        log.warning("%s is replaced: %s", worker.name, reason)
        death = Death(worker.name, reason, time.monotonic() - worker.since)
        self.crew.remove(worker)
        for batch in worker.batches:
            outcomes += self.backlog.lost(batch, held, death)
        return outcomes

    def _last_words(self, worker: Worker) -> list[Outcome]:
        """Take what a dead worker had sent."""
        outcomes: list[Outcome] = []
        try:
            while messages := list(worker.link.receive()):
                for message in messages:
                    outcomes += self._take(worker, message)
        except EOFError:
            pass
        return outcomes
