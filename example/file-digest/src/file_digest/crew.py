"""The worker processes of the process model: started, watched, replaced with back-off, ended."""

import logging
import random
import selectors
import socket
import time
from collections import deque
from collections.abc import MutableSequence
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawArray

from .batches import Batch
from .channel import Link, Station
from .configurer import LogSetup, configure_worker
from .messages import Goodbye, StartFailed, WorkersCannotStartError
from .processes import Bond, Lifeline, context_for, follow_main, join_all, kill, start_process
from .settings import Settings
from .worker import IDLE, Bench, describe

log = logging.getLogger(__name__)

START_ATTEMPTS = 5
BACK_OFF_SECONDS = 0.05
MOST_BACK_OFF_SECONDS = 5.0


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
        self.ready = self.proven = False
        self.stalled = self.recalled = False
        self.reason = ""
        self.held = IDLE
        self.started = self.since = time.monotonic()

    @property
    def open_items(self) -> int:
        """How many items it has that are not reported."""
        return sum(batch.end - batch.done for batch in self.batches)

    def batch_of(self, number: int) -> Batch:
        """Return the batch that an item's number belongs to."""
        return next(b for b in self.batches if b.first <= number < b.first + len(b.pairs))

    @property
    def item(self) -> str | None:
        """The key of the item that it is at, as last observed."""
        for batch in self.batches:
            if batch.first <= self.held < batch.first + len(batch.pairs):
                return batch.pairs[self.held - batch.first][0]
        return None

    def observe(self, held: int, now: float) -> None:
        """Note since when it holds what its slot says; one that ever began a task is proven."""
        if held != self.held:
            self.held, self.since = held, now
            self.proven = True

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
            WorkersCannotStartError: See ``failed``.
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
            WorkersCannotStartError: ``START_ATTEMPTS`` in a row failed and no other worker works.
        """
        if self.failures and started < self.failed_at:
            return  # it was started together with one that failed already
        self.failures += 1
        self.failed_at = time.monotonic()
        log.error("a worker failed to start, for the %d. time: %s", self.failures, reason)
        if self.failures >= START_ATTEMPTS and not any(worker.proven for worker in self.workers):
            raise WorkersCannotStartError(reason)
        delay = min(BACK_OFF_SECONDS * 2**self.failures, MOST_BACK_OFF_SECONDS)
        self.not_before = self.failed_at + delay * random.uniform(0.5, 1.5)  # noqa: S311 - jitter

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
