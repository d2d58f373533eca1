"""The worker processes of the process model: started, watched, replaced with back-off, ended."""

import selectors
import socket
import time
from collections.abc import MutableSequence
from itertools import count
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawArray
from typing import NamedTuple

from .batches import Backlog
from .channel import Link, open_station
from .configurer import LogSetup
from .messages import Goodbye
from .processes import Bond, Lifeline, context_for, join_all, kill, start_process
from .settings import Settings
from .signals import Stop
from .trays import Tray
from .watch import Starts, Watched
from .worker import IDLE


class Board(NamedTuple):
    """Numbers of items, in memory that main and its workers share; each worker has a place."""

    slots: MutableSequence[int]
    """Which item a worker holds; only that worker writes it."""
    revoked: MutableSequence[int]
    """Items with lower numbers must not be begun any more; only main writes it."""


def worker_main(sock: socket.socket, board: Board, index: int, bond: Bond, logs: LogSetup) -> None:
    """Be a worker process."""
    station, bench = open_station(sock, board.slots, index, bond, logs)
    bench.revoked = board.revoked
    station.serve(bench)


class Worker(Watched):
    """Main's view of one worker process, and what main gave it."""

    def __init__(
        self,
        process: BaseProcess,
        link: Link,
        slots: MutableSequence[int],
        index: int,
        tray: Tray,
    ) -> None:
        """Watch a process that was just started."""
        super().__init__(process, link, slots, index)
        self.tray = tray
        self.stalled = False
        self.revoked = IDLE
        """The item for whose sake those behind it were revoked."""


class Crew:
    """The worker processes: started, replaced with back-off, ended."""

    def __init__(
        self,
        backlog: Backlog,
        settings: Settings,
        logs: LogSetup,
        selector: selectors.BaseSelector,
        stop: Stop,
    ) -> None:
        """Prepare; ``fill`` starts them, unless ``stop`` says to begin nothing."""
        self.backlog, self.settings, self.logs, self.selector = backlog, settings, logs, selector
        self.stop = stop
        self.context = context_for(settings.start_method)
        self.lifeline = Lifeline(settings.start_method)
        places = settings.workers
        self.board = Board(RawArray("q", [IDLE] * places), RawArray("q", places))
        self.workers: list[Worker] = []
        self.free = list(range(settings.workers))[::-1]
        self.starts, self.numbers = Starts(), count(1)

    def fill(self) -> None:
        """Start the workers that are missing; one at a time while they fail to start.

        Raises:
            WorkersCannotStartError: See ``failed``.
        """
        while self.free and not (self.starts.wait or self.stop.requested):
            if self.starts.failures and not all(worker.ready for worker in self.workers):
                return
            try:
                self._start(self.free[-1])
            except OSError as error:  # no more processes or descriptors are to be had
                self.failed(time.monotonic(), f"{type(error).__name__}: {error}")
            else:
                self.free.pop()

    def failed(self, started: float, reason: str) -> None:
        """Count a failed start.

        Raises:
            WorkersCannotStartError: See ``Starts.failed``.
        """
        others_work = any(worker.proven for worker in self.workers)
        self.starts.failed(started, reason, others_work=others_work)

    def take_back(self, worker: Worker) -> None:
        """Take back what waits behind an item that holds the GIL: its worker cannot answer.

        Items are revoked first. A tick later its slot names what it has begun in spite of that;
        anything else it never will, see ``Bench.do``.
        """
        if worker.held < 0:
            return  # it is at a whole task: to be revoked each time, none would ever be done
        if worker.revoked == worker.held:
            worker.tray.take_back(worker.held)
        worker.revoked, self.board.revoked[worker.index] = worker.held, self.backlog.number

    def remove(self, worker: Worker) -> None:
        """Give up a worker that is gone; its place is free."""
        self.selector.unregister(worker.link.sock)
        worker.link.sock.close()
        kill(worker.process)
        self.workers.remove(worker)
        self.board.slots[worker.index] = IDLE
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
        args = (theirs, self.board, index, bond, self.logs)
        try:
            process = start_process(self.context, worker_main, args, f"worker-{next(self.numbers)}")
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()  # or the end of a dead worker's stream is never seen
        worker = Worker(process, Link(ours), self.board.slots, index, Tray(self.backlog))
        self.workers.append(worker)
        self.selector.register(ours, selectors.EVENT_READ, worker)
