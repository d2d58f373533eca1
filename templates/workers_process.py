"""The execution model: worker processes, supervised.

    Backlog ── Batch ──▶ Supervisor ── Link ──▶ worker process
       ▲                     │  ▲                    │
       └── what a dead ──────┘  └──── Report ────────┘
           worker had

Main shares nothing with a worker that a killed one could spoil: a socket pair of their own, and
one integer in shared memory that says which item the worker holds.
"""

import logging
import selectors
from collections.abc import Generator

from .batches import Backlog, Death
from .configurer import LogSetup
from .crew import Crew, Worker
from .leaving import GOODBYE_SECONDS
from .messages import Recall
from .outcomes import NOTHING, Outcomes
from .processes import await_end, how_it_ended, kill
from .settings import EngineOption, Settings
from .signals import Stop
from .watch import RECALL_SECONDS

log = logging.getLogger(__name__)

OPTIONS: tuple[EngineOption, ...] = ()
TICK = 0.1
PREFETCH = 3
"""Batches at hand in a worker while items are quick; one, where they are not."""


def run(backlog: Backlog, settings: Settings, logs: LogSetup, stop: Stop) -> Generator[Outcomes]:
    """Do the items of a backlog; yield outcomes as they complete, at least once a ``TICK``.

    Without news it yields ``NOTHING``, a chance for main to see to other things. Once ``stop`` says
    so, no item starts, running ones may finish until its deadline, and the rest is left undone.

    Raises:
        WorkersCannotStartError: They died at their start, again and again, in spite of back-off.
    """
    supervisor = Supervisor(backlog, settings, logs, stop)
    try:
        while supervisor.has_work():
            yield from supervisor.turn() or [NOTHING]
    finally:
        supervisor.end()


class Supervisor:
    """Moves batches to workers and reports back, and decides what happens when either hangs."""

    def __init__(self, backlog: Backlog, settings: Settings, logs: LogSetup, stop: Stop) -> None:
        """Start nothing yet."""
        self.backlog, self.settings, self.stop = backlog, settings, stop
        self.clock = stop.clock
        self.selector = selectors.DefaultSelector()
        self.selector.register(stop.waker, selectors.EVENT_READ, None)
        self.crew = Crew(backlog, settings, logs, self.selector, stop)
        self.tick = min(TICK, (settings.item_timeout or TICK) / 4)
        self.next_look = 0.0

    def has_work(self) -> bool:
        """Whether an item is open or will be."""
        if self.stop.requested and not self.backlog.stopped:
            self.backlog.stop()
            self._recall_all()
        if self.stop.requested and self.stop.time_is_up:
            return False
        return not self.backlog.exhausted or any(worker.tray for worker in self.crew.workers)

    def turn(self) -> list[Outcomes]:
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
        if self.clock.now() >= self.next_look:
            outcomes += self._look_after_workers()
        return outcomes

    def end(self) -> None:
        """End all workers; those that still hold an item are killed at once."""
        busy = any(worker.tray for worker in self.crew.workers)
        flush = 0.0 if self.stop.requested else self.crew.logs.sender.flush_seconds
        self.crew.end(self.stop.seconds_for_idle if busy else GOODBYE_SECONDS + flush)
        self.selector.close()

    def _feed(self) -> None:
        depth = PREFETCH if self.backlog.sizer.quick else 1
        for wanted in range(depth):
            for worker in self.crew.workers:
                fit = worker.ready and not worker.stalled and not worker.link.outgoing
                if fit and len(worker.tray) <= wanted:
                    if not (work := self.backlog.next_batch(only_full=bool(worker.tray))):
                        return
                    batch, task = work
                    if not worker.tray:
                        worker.since, worker.recalled = self.clock.now(), False
                    worker.tray.put(batch)
                    worker.link.send(task)
                    self._watch(worker)

    def _watch(self, worker: Worker) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.link.outgoing else 0)
        if self.selector.get_key(worker.link.sock).events != wanted:
            self.selector.modify(worker.link.sock, wanted, worker)

    def _handle(self, worker: Worker, events: int) -> list[Outcomes]:
        if events & selectors.EVENT_WRITE:
            worker.link.flush()
            self._watch(worker)
        if not events & selectors.EVENT_READ:
            return []
        outcomes, ended = worker.hear(worker.tray)
        if outcomes:
            self.crew.starts.succeeded()
        worker.stalled = worker.stalled and bool(worker.tray)
        return outcomes + self._lost(worker) if ended else outcomes

    def _look_after_workers(self) -> list[Outcomes]:
        """Kill what hangs, find the dead, recall what waits behind a slow item."""
        now, outcomes, limit = self.clock.now(), list[Outcomes](), self.settings.item_timeout
        self.next_look = now + self.tick
        for worker in list(self.crew.workers):
            worker.observe(now)
            if worker.exitcode is not None:
                # Its own children may hold its socket open, so that no end is seen.
                outcomes += self._lost(worker)
            elif reason := worker.overdue(now, limit, busy=bool(worker.tray)):
                worker.reason = reason
                kill(worker.process)
            elif worker.tray.open_items > 1 and now - worker.since > RECALL_SECONDS:
                if worker.recalled:
                    self.crew.take_back(worker)
                self._recall(worker)
        stood, at = self.clock.stood, [(one, one.tray.item(one.held)) for one in self.crew.workers]
        self.backlog.holding = {one.name: (item, one.since + stood) for one, item in at if item}
        return outcomes

    def _recall(self, worker: Worker) -> None:
        if not worker.recalled:
            worker.stalled = worker.recalled = True
            worker.link.send(Recall())
            self._watch(worker)

    def _recall_all(self) -> None:
        for worker in self.crew.workers:
            if worker.tray:
                self._recall(worker)

    def _lost(self, worker: Worker) -> list[Outcomes]:
        await_end(worker, 1.0)
        if worker.exitcode is None:
            worker.reason = worker.reason or "worker closed its connection to main"
            kill(worker.process)
        outcomes = worker.last_words(worker.tray)
        worker.observe(self.clock.now())
        reason = worker.reason or f"worker died: {how_it_ended(worker.exitcode)}"
        death = Death(worker.name, reason, self.clock.now() - worker.since)
        replaced = worker.ready and (worker.proven or not worker.tray)
        outcomes += worker.tray.blame(worker.held, death)
        worker.tray.give_back()
        self.crew.remove(worker)
        if replaced:
            log.warning("%s is replaced: %s", worker.name, reason)
        else:
            self.crew.failed(worker.started, reason)
        return outcomes
