"""The execution model: a ``multiprocessing.Pool``, guarded.

    Backlog ── Batch ──▶ Guard ── apply_async ──▶ Pool ──▶ worker process
       ▲                  │  ▲                             │       │
       │                  │  └───────── callback ◀─────────┘       │
       └── what a dead ───┘  ◀── ready, early report, given back ──┘
           worker had            a line of its own, without a lock

A Pool waits for ever for the item of a worker that died. Main therefore knows what each worker
holds, from an integer in shared memory. One that dies while it does an item holds no lock of the
Pool: its item is tried again, and the Pool replaces it. One that dies elsewhere may have spoilt
the pipes that all workers share: then the Pool is given up, another is made, and what had no
outcome begins again there.

What the process model does better: a worker killed *between* items costs the others the time that
they had spent on theirs, for these begin again; they do not count as tried.
"""

import gc
import logging
import selectors
from collections import deque
from collections.abc import Generator
from functools import partial
from itertools import count

from .batches import Backlog, Batch, Death
from .capacity import reason_for
from .configurer import LogSetup
from .errors import describe
from .leaving import GOODBYE_SECONDS
from .lifeline import Lifeline
from .messages import Recall, Unreadable
from .outcomes import NOTHING, Outcomes
from .processes import context_for, how_it_ended
from .roster import Recruit, Roster
from .seat import AT_PIPES, Answer
from .settings import EngineOption, Settings
from .signals import Stop
from .trays import Tray
from .watch import RECALL_SECONDS, Starts

log = logging.getLogger(__name__)

OPTIONS: tuple[EngineOption, ...] = ()
TICK = 0.1
PREFETCH = 3
"""Batches in the Pool for each worker while items are quick; one, where they are not."""
SETTLE_SECONDS = 0.1
"""How long a Pool that is given up may still deliver what is on its way."""
STALL_SECONDS = 5.0


def run(backlog: Backlog, settings: Settings, logs: LogSetup, stop: Stop) -> Generator[Outcomes]:
    """Do the items of a backlog; yield outcomes as they complete, at least once a ``TICK``.

    Without news it yields ``NOTHING``, a chance for main to see to other things. Once ``stop`` says
    so, no item starts, running ones may finish until its deadline, and the rest is left undone.

    Raises:
        WorkersCannotStartError: They died at their start, again and again, in spite of back-off.
    """
    guard = Guard(backlog, settings, logs, stop)
    try:
        while guard.has_work():
            yield from guard.turn() or [NOTHING]
    finally:
        guard.end()


class Guard:
    """Gives batches to a Pool, watches its workers, and gives it up where it may be spoilt."""

    def __init__(self, backlog: Backlog, settings: Settings, logs: LogSetup, stop: Stop) -> None:
        """Start nothing yet."""
        self.backlog, self.settings, self.stop = backlog, settings, stop
        self.clock = stop.clock
        self.flush_seconds, self.selector = logs.sender.flush_seconds, selectors.DefaultSelector()
        self.selector.register(stop.waker, selectors.EVENT_READ, None)
        self.starts, self.lifeline = Starts(stop.clock), Lifeline()
        context, numbers = context_for(settings.start_method), count(1)
        self.new_roster = partial(Roster, context, self.lifeline, logs, self.starts, numbers)
        self.roster: Roster | None = None
        self.former: Roster | None = None
        self.workers: list[Recruit] = []
        self.tray = Tray(backlog)
        self.answers: deque[Answer] = deque()
        self.dead: list[tuple[int, Death]] = []
        self.tick = min(TICK, (settings.item_timeout or TICK) / 4)
        self.next_look, self.moved, self.give_up_at = 0.0, 0.0, float("inf")

    def has_work(self) -> bool:
        """Whether an item is open or will be."""
        if self.stop.requested and not self.backlog.stopped:
            self.backlog.stop()
            self._close()
        if self.stop.requested and self.stop.time_is_up:
            return False
        if self.backlog.stopped:
            return any(self.tray.find(worker.slots[0]) for worker in self.workers)
        return bool(self.tray) or not self.backlog.exhausted

    def turn(self) -> list[Outcomes]:
        """Hand out batches, wait for news at most a tick, and return the outcomes."""
        self._staff()
        self._feed()
        outcomes = self.backlog.take_failed()
        for key, _ in self.selector.select(0 if outcomes else self.tick):
            if key.data is None:
                self.stop.clear_waker()
            else:
                outcomes += self._hear(key.data)
        outcomes += self._take_answers()
        if self.clock.now() >= self.next_look:
            outcomes += self._look_after_workers()
        return outcomes

    def end(self) -> None:
        """End the Pool; at once if a worker still holds an item, or if some died."""
        if roster := self._discharge():
            if self.tray or roster.bereaved:
                idle = [one for one in self.workers if not self.tray.find(one.held)]
                roster.dismiss_idle(idle, self.stop.seconds_for_idle)
            else:
                roster.dismiss(GOODBYE_SECONDS + (0 if self.stop.requested else self.flush_seconds))
            roster.kill()
            roster.bury()
        if self.former and self.former.burial.is_alive():
            self.former.burial.join(GOODBYE_SECONDS)
        self.lifeline.close()
        self.selector.close()
        gc.collect()  # semaphores go with their last reference, or the resource tracker complains

    def _staff(self) -> None:
        """Have a Pool where there is something to do, and know its workers.

        Raises:
            WorkersCannotStartError: There is none to be had.
        """
        # The former Pool goes first: forked workers would hold its pipes open.
        possible = not self.starts.wait and (self.former is None or self.former.gone)
        if not self.roster and possible and self.backlog.has_some:
            self.roster, self.moved = self.new_roster(), self.clock.now()
            try:
                self.roster.open(self.settings.workers, self.stop)
            except InterruptedError:
                self._give_up()
            except (OSError, RuntimeError) as error:  # no more processes, threads, descriptors
                self._give_up()
                self.starts.failed(self.clock.now(), reason_for(error), others_work=False)
        while self.roster and self.roster.newcomers:
            worker = self.roster.newcomers.popleft()
            self.workers.append(worker)
            self.selector.register(worker.link.sock, selectors.EVENT_READ, worker)

    def _feed(self) -> None:
        window = self.settings.workers * (PREFETCH if self.backlog.sizer.quick else 1)
        while self.roster and not self.roster.closed[0] and len(self.tray) < window:
            if not (work := self.backlog.next_batch()):
                return
            batch, task = work
            self.tray.put(batch)
            self.roster.submit(task, self._answered, partial(self._broken, batch.first))

    def _answered(self, answer: Answer) -> None:
        """Note, in a thread of the Pool, what a worker returned."""
        self.answers.append(answer)
        self.stop.wake()

    def _broken(self, first: int, error: BaseException) -> None:
        """Note, in a thread of the Pool, that a task could not be sent or answered."""
        self._answered(("", [Unreadable(first, describe(error))]))

    def _take_answers(self) -> list[Outcomes]:
        outcomes: list[Outcomes] = []
        while self.answers:
            name, messages = self.answers.popleft()
            if worker := next((w for w in self.workers if w.name == name), None):
                self.starts.succeeded()
                outcomes += self._hear(worker)  # an early report comes before the last one
            for message in messages:
                outcomes += self.tray.take(message, name)
        return outcomes

    def _hear(self, worker: Recruit) -> list[Outcomes]:
        outcomes, ended = worker.hear(self.tray)
        return outcomes + self._lost(worker) if ended else outcomes

    def _look_after_workers(self) -> list[Outcomes]:
        """Kill what hangs, find the dead, recall what waits behind a slow item."""
        now, outcomes = self.clock.now(), list[Outcomes]()
        self.next_look = now + self.tick
        for worker in list(self.workers):
            if worker.observe(now):
                self.moved = now
            batch, limit = self.tray.find(worker.held), self.settings.item_timeout
            if worker.exitcode is not None:
                # Its own children may hold its socket open, so that no end is seen.
                outcomes += self._lost(worker)
            elif reason := worker.overdue(now, limit, busy=bool(batch)):
                worker.reason = reason
                worker.terminate()
            elif batch and now - worker.since > RECALL_SECONDS:
                self._recall(worker, batch)
        stood, at = self.clock.stood, [(one, self.tray.item(one.held)) for one in self.workers]
        self.backlog.holding = {one.name: (item, one.since + stood) for one, item in at if item}
        self._notice_stall(now)
        if now >= self.give_up_at and not self.backlog.stopped:  # else no other Pool is needed
            outcomes += self._give_up()
        return outcomes

    def _recall(self, worker: Recruit, batch: Batch) -> None:
        """Have it give back what waits behind a slow item; take it, where that holds the GIL."""
        if not worker.recalled:
            worker.recalled = True  # until its slot says something else
            worker.link.send(Recall())
        elif numbers := worker.revoke(batch):
            self.backlog.give_back(batch, numbers)

    def _close(self) -> None:
        """Have no item begun any more, and what was done reported."""
        if self.roster:
            self.roster.close()
        for worker in self.workers:
            worker.link.send(Recall())

    def _notice_stall(self, now: float) -> None:
        """Give up a Pool in which batches wait although not everybody is at one.

        Somebody stopped holds the lock for taking them, or a dead worker was not replaced.
        """
        at_work = sum(self.tray.find(worker.held) is not None for worker in self.workers)
        starting = self.starts.wait or not all(worker.ready for worker in self.workers)
        if starting or at_work >= min(len(self.tray), self.settings.workers):
            self.moved = now
        elif now - self.moved > STALL_SECONDS:
            log.warning("the pool is at a standstill")
            self._give_up_soon()

    def _lost(self, worker: Recruit) -> list[Outcomes]:
        worker.join(1.0)
        if worker.exitcode is None:
            worker.reason = worker.reason or "worker closed its connection to main"
            worker.terminate()
            worker.join(1.0)
        outcomes = worker.last_words(self.tray)
        worker.observe(self.clock.now())
        reason = worker.reason or f"worker died: {how_it_ended(worker.exitcode)}"
        self._remove(worker)
        if not worker.ready or not (worker.proven or self.backlog.exhausted):
            others_work = any(other.proven for other in self.workers)
            self.starts.failed(worker.started, reason, others_work=others_work)
        else:
            log.warning("%s is replaced: %s", worker.name, reason)
        return outcomes + self._mourn(worker, reason)

    def _mourn(self, worker: Recruit, reason: str) -> list[Outcomes]:
        """Blame what it held, and the Pool if it may have spoilt that."""
        death = Death(worker.name, reason, self.clock.now() - worker.since)
        if worker.ready and worker.slots[AT_PIPES]:
            self.dead.append((worker.held, death))
            self._give_up_soon()
            return []
        if self.roster and self.tray.find(worker.held):
            self.roster.bereaved = True
        return self.tray.blame(worker.held, death)

    def _remove(self, worker: Recruit) -> None:
        self.selector.unregister(worker.link.sock)
        worker.link.sock.close()
        worker.terminate()  # and what it left
        self.workers.remove(worker)
        if self.roster:
            self.roster.recruits.remove(worker)

    def _give_up_soon(self) -> None:
        """Let the Pool deliver what is on its way, then give it up."""
        self._close()
        self.give_up_at = min(self.give_up_at, self.clock.now() + SETTLE_SECONDS)

    def _give_up(self) -> list[Outcomes]:
        """End this Pool; what has no outcome is for the next."""
        if not (roster := self._discharge()):
            return []
        roster.kill()
        outcomes: list[Outcomes] = []
        for worker in list(self.workers):
            outcomes += worker.last_words(self.tray)
            self._remove(worker)
        roster.bury()
        outcomes += self._take_answers()
        for held, death in self.dead:
            outcomes += self.tray.blame(held, death)
        self.tray.give_back()
        self.dead, self.give_up_at = [], float("inf")
        return outcomes

    def _discharge(self) -> Roster | None:
        """Have no roster; return the one that was."""
        roster, self.roster = self.roster, None
        self.former = roster or self.former
        return roster
