"""Start the worker processes, exchange messages with them, end them.

Main shares nothing with a worker that a killed one could leave locked: a socket pair of their own,
and two integers in shared memory, see ``SharedState``.
"""

import logging
import selectors
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawArray

from ..configurer import LogSetup
from ..items.backlog import Backlog
from ..items.batch_size import BATCH_SECONDS
from ..items.messages import IDLE, Revoke, Shutdown, Task
from ..log.output import HAS_NAMED_PIPES, OutputPipe
from ..settings import Settings
from ..system import stacks
from ..system.inheritance import open_pair
from ..system.leaving import SHUTDOWN_TIMEOUT
from ..system.lifeline import Lifeline
from ..system.memory import used_by
from ..system.oslimits import ensure_descriptors
from ..system.processes import (
    await_end,
    can_start,
    context_for,
    how_it_ended,
    join_all,
    kill,
)
from ..system.signals import StopRequest
from ..system.stack_report import Asked, AskedByFile
from ..worker import SharedState, ToMain, ToWorker, WorkerArgs
from .connection import WorkerConnection, socket_pair
from .handle import LEFT, UNENDED, Event, Gone, HasRoom
from .places import Places, place_of
from .worker_process import Worker

log = logging.getLogger(__name__)


class ProcessManager(ABC):
    """The worker processes of a run; a model's own starts them and gives them tasks."""

    PREFETCH = 3
    """Batches at hand in a worker while items are quick; one, where they are not."""
    BATCH_SECONDS = BATCH_SECONDS
    REVOKE_SECONDS = 0.1
    """Seconds that a worker may take for one item before those behind it are revoked."""
    DESCRIPTORS = 5
    """Files, pipes and sockets that main has open for a worker."""
    fixed = ""
    """The reason why the number of workers cannot change; empty if it can."""

    def __init__(
        self, backlog: Backlog, settings: Settings, logs: LogSetup, stop: StopRequest
    ) -> None:
        """Prepare; ``start_one`` starts a worker."""
        self.backlog, self.logs, self.stop = backlog, logs, stop
        self.selector = selectors.DefaultSelector()
        self.selector.register(stop.waker, selectors.EVENT_READ, None)
        self.start_method = settings.start_method
        self.context = context_for(self.start_method)
        self.lifeline = Lifeline()
        self.wanted = settings.workers
        """Number of workers to have; a worker in a place above that has to leave."""
        self.places = Places(self.wanted)
        numbers = [IDLE] * self.places.MOST
        self.shared = SharedState(RawArray("q", numbers), RawArray("q", len(numbers)))
        self.capture_output = settings.capture_output and HAS_NAMED_PIPES
        self.numbers = count(1)
        self.workers: list[Worker] = []

    @property
    def missing(self) -> bool:
        """Whether a place is free, and a process starts at once."""
        return bool(self.places.free) and can_start(self.start_method)

    def resize(self, wanted: int) -> None:
        """Change the number of workers.

        Raises:
            WorkersCannotStartError: There are too few descriptors.
        """
        ensure_descriptors(wanted, self.DESCRIPTORS, there=len(self.workers))
        self.wanted = wanted
        self.places.resize(wanted, {worker.place for worker in self.workers})

    def start_one(self) -> None:
        """Start a worker in a free place.

        Raises:
            OSError, RuntimeError: The limit of processes, threads or descriptors is reached.
        """
        index = self.places.free[-1]
        name = f"worker-{next(self.numbers)}"
        ours, theirs = open_pair(socket_pair)
        # What is opened is closed if it cannot start; theirs always, or we never see its end.
        with ExitStack() as opened, theirs:
            opened.enter_context(ours)
            output = OutputPipe(name) if self.capture_output else None
            if output:
                opened.callback(output.close, 0, None)
            args = WorkerArgs(
                theirs,
                self.shared,
                index,
                place_of(index),
                self.lifeline.end,
                self.logs,
                output=output.path if output else "",
                stack=stacks.new_file(name),
            )
            process = self._start_process(args, name)
            opened.pop_all()
        self.places.free.pop()
        worker = Worker(self.backlog, self.stop.clock, index, process, WorkerConnection(ours))
        worker.output, worker.stack_file = output, args.stack
        self.workers.append(worker)
        self.selector.register(ours, selectors.EVENT_READ, worker)
        if output:
            self.selector.register(output, selectors.EVENT_READ, worker)

    def poll(self, seconds: float) -> Iterator[tuple[Worker, Event]]:
        """Wait for events that long at most, and yield those that are there."""
        for key, events in self.selector.select(seconds):
            if key.data is None:
                self.stop.clear_waker()
                continue
            if events & selectors.EVENT_WRITE:
                key.data.connection.flush()
                self._select(key.data)
                if not key.data.connection.outgoing:
                    yield key.data, HasRoom()
            if key.fileobj is key.data.output:
                self._log_output(key.data)
            elif events & selectors.EVENT_READ:
                yield from self._receive(key.data)

    @abstractmethod
    def submit(self, worker: Worker, task: Task) -> None:
        """Give a worker a task."""

    def revoke(self, worker: Worker, *, stopping: bool) -> None:
        """Take back what a worker has not begun.

        It is told to release it. While an item holds the GIL its control thread cannot run, so
        items are revoked in shared memory as well: if its current item is still the same at the
        next call, it has begun none behind that one and never will, see ``TaskRunner._run_some``.
        """
        if worker.revocations == 1:
            self._send(worker, Revoke())
        elif self.shared.current[worker.index] == worker.current >= 0:
            worker.in_flight.release_behind(worker.current)
        if worker.current >= 0 or stopping:
            # Not during a whole task: revoked each time, it would never be done.
            self.shared.revoked[worker.index] = self.backlog.number

    def prepare_successor(self, worker: Worker) -> bool:
        """Free a worker's place for a successor beside it; return whether that is ready."""
        for other in self.workers:
            if other.place == worker.place and other is not worker:
                return other.ready and not other.leaving  # else it is the one before this
        self.places.free_beside(worker.index)
        return False

    def leave(self, worker: Worker, *, replaced: bool) -> None:  # noqa: ARG002 - dask's needs it
        """Tell an idle worker to leave in good order; its end is an event of ``poll``."""
        self._send(worker, Shutdown())

    def ask_for_stack(self, worker: Worker) -> bool:
        """Ask a worker for its stack; False where it cannot be asked."""
        return stacks.ask(worker.process.pid or 0, worker.stack_file)

    def ask_for_stacks(self) -> list[Asked]:
        """Ask all for their stacks that can be asked, and are not about to be killed."""
        able = (worker for worker in self.workers if worker.ready and not worker.reason)
        return [AskedByFile(worker.name, worker.pid) for worker in able]

    def has_stack(self, worker: Worker) -> bool:
        """Whether a worker has written its stack."""
        return stacks.size_of(worker.stack_file) > 0

    def memory_of(self, worker: Worker) -> int:
        """Return how much memory a worker uses, in bytes."""
        return used_by(worker.process.pid or 0)

    def kill(self, worker: Worker) -> None:
        """Kill a worker and what it started; its end is an event of ``poll``."""
        kill(worker.process)

    def refresh(self) -> list[Worker]:
        """Note each worker's current item; return dead workers whose stream has not ended.

        The children of a dead worker may hold its socket open.
        """
        for worker in self.workers:
            worker.observe(self.shared.current[worker.index])
        return [worker for worker in self.workers if worker.exitcode is not None]

    def remove(self, worker: Worker) -> tuple[list[ToMain], str]:
        """Give up a worker that is gone; its place is free.

        Returns:
            Messages that it had sent, and how it ended.
        """
        await_end(worker, 1.0)
        ended = worker.exitcode is not None
        how = f"worker died: {how_it_ended(worker.exitcode)}"
        how = LEFT if worker.leaving and worker.exitcode == 0 else how
        kill(worker.process)  # or, where it has ended, what it left
        messages = list(worker.connection.drain())
        worker.observe(self.shared.current[worker.index])
        self.selector.unregister(worker.connection.sock)
        worker.connection.close()
        self._close_output(worker)
        worker.stack = stacks.take(worker.stack_file)
        self.workers.remove(worker)
        self.shared.current[worker.index] = IDLE
        if all(other.place != worker.place for other in self.workers):
            self.places.release(worker.index)
        return messages, how if ended else "worker closed its connection to main"

    def end(self, *, stopping: bool) -> None:
        """Let all workers leave in good order; kill those that do not, or that still have items."""
        busy = any(worker.busy for worker in self.workers)
        flush = 0.0 if stopping else self.logs.sender.flush_seconds
        for worker in self.workers:
            if worker.busy:
                kill(worker.process)
            worker.connection.shutdown()
        processes = [worker.process for worker in self.workers]
        seconds = self.stop.seconds_for_idle if busy else SHUTDOWN_TIMEOUT + flush
        late = join_all(processes, seconds)
        for worker in self.workers:
            if worker.leaving and (worker.reason or worker.process in late):
                log.warning("%s was killed: %s", worker.name, UNENDED)
        for worker in self.workers:
            worker.connection.close()
            self._close_output(worker)
        self.lifeline.close()
        self.selector.close()

    @abstractmethod
    def _start_process(self, args: WorkerArgs, name: str) -> BaseProcess:
        """Start a process that calls ``worker_main``.

        Raises:
            OSError, RuntimeError: See ``start_one``.
        """

    def _receive(self, worker: Worker) -> Iterator[tuple[Worker, Event]]:
        try:
            for message in worker.connection.receive():
                yield worker, message
        except EOFError:
            yield worker, Gone()

    def _log_output(self, worker: Worker) -> None:
        worker.observe(self.shared.current[worker.index])
        if worker.output:
            worker.output.log_lines(worker.process.pid or 0, worker.key)

    def _close_output(self, worker: Worker) -> None:
        if worker.output:
            self.selector.unregister(worker.output)
            worker.output.close(worker.process.pid or 0, worker.key)

    def _send(self, worker: Worker, message: ToWorker) -> None:
        worker.connection.send(message)
        self._select(worker)

    def _select(self, worker: Worker) -> None:
        """Wait for room in its socket as long as there is something left to send."""
        left = selectors.EVENT_WRITE if worker.connection.outgoing else 0
        if self.selector.get_key(worker.connection.sock).events != selectors.EVENT_READ | left:
            self.selector.modify(worker.connection.sock, selectors.EVENT_READ | left, worker)
