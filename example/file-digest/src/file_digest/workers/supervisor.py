"""Supervise the workers: hand out batches, and handle workers that hang or die.

    Backlog ── Batch ──▶ Supervisor ── Task, Revoke ──▶ WorkerManager ──▶ workers
       ▲                     │  ▲                            │
       └── what a dead ──────┘  └── Report, Released, Gone ──┘
           worker had

The same for every execution model. This module decides when workers are started, given tasks and
ended; the model's ``WorkerManager`` does it.
"""

import logging
import time
from collections.abc import Generator
from math import inf

from ..configurer import LogSetup
from ..items import events as kinds
from ..items.backlog import Backlog
from ..items.batch_size import BatchSizer
from ..items.events import DIED, START_FAILED, STARTED, WorkerNow
from ..items.messages import Ready, StartFailed
from ..items.outcomes import NO_OUTCOMES, Outcomes
from ..settings import Settings
from ..system.capacity import reason_for
from ..system.leaving import SHUTDOWN_TIMEOUT
from ..system.memory import size_text
from ..system.signals import StopRequest
from ..system.stacks import ANSWER_SECONDS
from .engine import WorkerManager
from .handle import LEFT, SURPLUS, Event, Gone, HasRoom, RestartBackoff
from .resizing import Resizing
from .worker_process import Worker

log = logging.getLogger(__name__)

TICK = 0.1
IDLE_TICK = 1.0
KILL_FACTOR = 2
"""Factor of its limit up to which a worker's memory is tolerated until its item is done."""


def run(
    backlog: Backlog, settings: Settings, logs: LogSetup, stop: StopRequest
) -> Generator[Outcomes]:
    """Do the items of a backlog; yield outcomes as they complete, at least once a ``TICK``.

    Without any it yields ``NO_OUTCOMES``, so that main can do its other work. Once a stop is
    requested, no item starts, running ones may finish until its deadline, the rest is left.

    Raises:
        WorkersCannotStartError: They died at their start, again and again, in spite of back-off.
        EngineRefusedError, EngineLostError: The engine is unusable, or is gone.
    """
    backlog.named = logs.shows_items
    supervisor = Supervisor(backlog, settings, WorkerManager(backlog, settings, logs, stop), stop)
    try:
        while supervisor.has_work or supervisor.dismiss():
            yield from supervisor.turn() or [NO_OUTCOMES]
    finally:
        supervisor.end()


class Supervisor:
    """Moves batches to workers and answers back; kills, revokes and replaces where need be."""

    def __init__(
        self, backlog: Backlog, settings: Settings, manager: WorkerManager, stop: StopRequest
    ) -> None:
        """Start nothing yet."""
        self.backlog, self.settings, self.manager, self.stop = backlog, settings, manager, stop
        self.clock, self.backoff = stop.clock, RestartBackoff(stop.clock)
        self.resizing = Resizing(manager, self._revoke, self._let_go)
        self.stopping = False
        self.heard_from: dict[Worker, None] | None = None
        """The workers to ask for room for a batch; None for all, which takes long with hundreds."""
        limit = settings.item_timeout
        self.tick = min(TICK, (limit or TICK) / 4)
        self.next_look = 0.0
        seconds = manager.BATCH_SECONDS
        backlog.workers_now, backlog.ask_for_stacks = self._workers_now, manager.ask_for_stacks
        backlog.sizer = BatchSizer(min(seconds, limit / 2) if limit else seconds)

    @property
    def has_work(self) -> bool:
        """Whether an item is open or will be, and time is left."""
        if self.stopping and self.stop.time_is_up:
            return False
        return not self.backlog.exhausted or any(worker.busy for worker in self.manager.workers)

    def turn(self) -> list[Outcomes]:
        """Hand out batches, wait for events at most a tick, and return the outcomes."""
        if self.stop.requested or self.backlog.halted:
            self._go_on_stopping()
        self.backlog.fill()
        recycling = self.settings.recycles and self._recycle()
        at_once = recycling or (self.resizing.used and not self.backlog.exhausted)
        if (self.backlog.has_some or at_once) and not self.backlog.stopped:
            self._start_missing()
        self._feed()
        outcomes = self.backlog.take_failed()
        for worker, event in self.manager.poll(0 if outcomes else self._patience):
            outcomes += self._take(worker, event)
            if self.heard_from is not None:
                self.heard_from[worker] = None
        if self.clock.now() >= self.next_look:
            outcomes += self._look_after_workers()
        return outcomes

    @property
    def _patience(self) -> float:
        """Return the seconds to wait for an event: more while there is nothing to do."""
        idle = self.backlog.is_idle and not any(worker.busy for worker in self.manager.workers)
        return max(self.tick, IDLE_TICK) if idle else self.tick

    def dismiss(self) -> bool:
        """End the lifespan of idle workers; return whether one is still leaving, with time left."""
        for worker in self.manager.workers:
            if worker.has_lifespan and not (worker.busy or worker.leaving):
                self._let_go(worker)
        return any(worker.leaving for worker in self.manager.workers) and not self.stop.time_is_up

    def end(self) -> None:
        """End all workers; where one still has an item, at once."""
        if any(worker.busy for worker in self.manager.workers):
            self.manager.refresh()
            self._note_current_items()
            self.backlog.events.note_cut_off(self.backlog.current_items)
        self.manager.end(stopping=self.stop.requested)
        self.backlog.workers_now = self.backlog.ask_for_stacks = list

    def _go_on_stopping(self) -> None:
        """Let running items finish, and no other begin; end workers without an item at once."""
        if not self.stopping:
            self._begin_stop()
        if self.stop.requested and self.stop.deadline is None:
            self.stop.begin_grace()
        self.dismiss()

    def _begin_stop(self) -> None:
        self.stopping = True
        self.backlog.stop()
        for worker in self.manager.workers:
            if worker.busy:
                self._revoke(worker)

    def _start_missing(self) -> None:
        """Start the workers that are missing; one at a time while they fail to start.

        Raises:
            WorkersCannotStartError: See ``RestartBackoff.failed``.
        """
        while self.manager.missing and not (self.backoff.wait or self.stop.requested):
            if self.backoff.failures and not all(worker.ready for worker in self.manager.workers):
                return
            try:
                self.manager.start_one()
            except (OSError, RuntimeError) as error:  # no more processes, threads or descriptors
                self._start_failed(self.clock.now(), reason_for(error))

    def _recycle(self) -> bool:
        """Release workers whose successors are ready; return whether any successor is wanted."""
        if self.backlog.exhausted:
            return False
        kept = (one for one in self.manager.workers if one.place < self.manager.wanted)
        retiring = [one for one in kept if one.retiring and not one.leaving]
        for worker in retiring:
            ready = self.manager.prepare_successor(worker)
            # One that cannot start beside it may start after it: there may be one GPU for both.
            if not worker.busy and (ready or self.backoff.failures):
                log.info("%s is recycled: %s", worker.name, worker.retiring)
                self._let_go(worker)
        return bool(retiring)

    def _let_go(self, worker: Worker) -> None:
        worker.leave(self.settings.grace + SHUTDOWN_TIMEOUT)
        self.manager.leave(worker, replaced=not self.backlog.exhausted)

    def _start_failed(self, started: float, reason: str, worker: str = "") -> None:
        self.backlog.events.note(START_FAILED, worker, reason)
        self.backlog.events.replaced[START_FAILED] += 1
        others_work = any(worker.proven for worker in self.manager.workers)
        self.backoff.failed(started, reason, others_work=others_work)

    def _feed(self) -> None:
        """Hand out batches, evenly: the second to a worker once each has one."""
        workers = self.manager.workers if self.heard_from is None else self.heard_from
        self.heard_from = None
        depth = self.manager.PREFETCH if self.backlog.sizer.quick else 1
        for wanted in range(1, depth + 1):
            for worker in workers:
                if worker.has_room(wanted):
                    only_full, most = worker.busy, worker.items_left
                    if not (work := self.backlog.next_batch(only_full=only_full, most=most)):
                        return
                    batch, task = work
                    worker.assign(batch)
                    self.manager.submit(worker, task)
        self.heard_from = {}

    def _take(self, worker: Worker, event: Event) -> list[Outcomes]:
        match event:
            case Ready():
                worker.became_ready(event, self.settings.recycle_after)
                log.info("%s is ready, pid %d", worker.name, worker.pid)
                self.backlog.events.note(STARTED, worker.name, pid=worker.pid)
            case StartFailed(reason):
                worker.expired(reason)
            case Gone():
                return self._lost(worker)
            case HasRoom():
                pass
            case _:
                if outcomes := worker.resolve(event):
                    self.backoff.succeeded()
                return outcomes
        return []

    def _look_after_workers(self) -> list[Outcomes]:
        """Find dead workers, kill those that hang, revoke items that wait behind a slow one."""
        outcomes, limit = list[Outcomes](), self.settings.item_timeout
        for worker in self.manager.refresh():
            outcomes += self._lost(worker)
        now, self.heard_from = self.clock.now(), None
        self.next_look = now + self.tick
        for worker in self.manager.workers:
            if worker.reason:
                self._kill_once_asked(worker, now)
            elif reason := worker.overdue(now, limit, self.settings.start_timeout):
                worker.timed_out(reason)
                worker.asked_at = now
                if not self.manager.ask_for_stack(worker):
                    self._kill_once_asked(worker, inf)
            elif reason := self._look_at_memory(worker):
                worker.expired(reason, kinds.TOO_LARGE)
                self.manager.kill(worker)
            elif worker.holds_up_others(now, self.manager.REVOKE_SECONDS):
                self._revoke(worker)
        if not self.stopping:
            self.resizing.look()
        self._note_current_items()
        return outcomes

    def _kill_once_asked(self, worker: Worker, now: float) -> None:
        """Kill a worker that has said where it is, or does not say it in time."""
        if worker.asked_at is None:
            return  # it was killed
        if self.manager.has_stack(worker) or now > worker.asked_at + ANSWER_SECONDS:
            worker.asked_at = None
            self.manager.kill(worker)

    def _look_at_memory(self, worker: Worker) -> str:
        """Replace a worker that uses too much; return why, if it is to be killed."""
        limit = self.settings.worker_memory
        if not (limit and worker.proven) or worker.leaving:
            return ""
        worker.memory = self.manager.memory_of(worker)
        if worker.memory <= limit:
            return ""
        reason = f"worker used {size_text(worker.memory)}, the limit is {size_text(limit)}"
        if worker.busy and worker.memory > KILL_FACTOR * limit:
            return reason
        if not worker.retiring:
            worker.retire(reason)
            if worker.busy:
                self._revoke(worker)
        return ""

    def _note_current_items(self) -> None:
        stood, at = self.clock.stood, [(worker, worker.key) for worker in self.manager.workers]
        self.backlog.current_items = {one.name: (key, one.since + stood) for one, key in at if key}

    def _workers_now(self) -> list[WorkerNow]:
        """Return the state of the workers, with times since the epoch for other processes."""
        epoch = time.time() - self.clock.read() + self.clock.stood
        ready = (worker for worker in self.manager.workers if worker.ready)
        return [worker.described(epoch, self.manager.memory_of(worker)) for worker in ready]

    def _revoke(self, worker: Worker) -> None:
        worker.revoke()
        self.manager.revoke(worker, stopping=self.stopping)

    def _lost(self, worker: Worker) -> list[Outcomes]:
        """Settle the items of a worker that is gone, and free its place."""
        outcomes, (answers, how) = list[Outcomes](), self.manager.remove(worker)
        for answer in answers:
            outcomes += self._take(worker, answer)
        started = worker.ready and (worker.proven or not worker.busy)
        outcomes += worker.died(how)
        events = self.backlog.events
        if worker.reason == LEFT:
            log.info("%s has left", worker.name)
            events.replaced[kinds.RECYCLED] += worker.retiring not in {"", SURPLUS}
        elif started:
            log.warning("%s is gone: %s", worker.name, worker.reason)
            events.note(DIED, worker.name, worker.reason)
            events.replaced[worker.cause] += 1
        else:
            self._start_failed(worker.started, worker.reason, worker.name)
        return outcomes
