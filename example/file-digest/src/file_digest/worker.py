"""Code that runs inside a worker process, from its first line to its last.

    main:  WorkerConnection  ── Task, Revoke, Shutdown ──▶  control thread ──▶ work thread
    main:  WorkerConnection  ◀── Ready, Report, Released, … ──  either thread

The messages are frames over a socket pair that only main and this worker share. So a worker that
is killed in the middle of a message harms no one: main drops what is incomplete.
"""

import os
import pickle
import socket
import struct
import threading
from collections.abc import Callable, Iterator, MutableSequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import BinaryIO

from .configurer import LogSetup, configure_worker
from .items.in_flight import Answer
from .items.messages import (
    IDLE,
    Ready,
    Released,
    Revoke,
    Shutdown,
    StartFailed,
    Task,
    UnpickleFailed,
)
from .items.task_runner import TaskRunner
from .items.worker_job import WorkerJob, load_job
from .log.formats import show_items_of
from .log.output import capture
from .system import stacks
from .system.capacity import reason_for
from .system.errors import describe
from .system.inheritance import was_forked
from .system.leaving import run_hooks_at_end
from .system.lifeline import follow_main

HEADER = struct.Struct("!Q")

ToWorker = Task | Revoke | Shutdown
ToMain = Ready | StartFailed | Answer


@dataclass(frozen=True, slots=True)
class SharedState:
    """Numbers of items, in memory that main and its workers share; each worker has its own."""

    current: MutableSequence[int]
    """Number of each worker's current item; only that worker writes it."""
    revoked: MutableSequence[int]
    """Items with lower numbers must not be begun any more; only main writes it."""


@dataclass(frozen=True, slots=True)
class WorkerArgs:
    """Arguments of a worker process."""

    sock: socket.socket
    shared: SharedState
    index: int
    """Index of its numbers in ``shared``."""
    place: int
    """Its place among the workers, 0 to N-1."""
    lifeline: Connection
    logs: LogSetup
    output: str
    """Path of the named pipe for its output, see ``capture``; empty to leave that alone."""
    stack: str
    """Path of the file for its stack, see ``stacks``."""


def frame(message: object) -> bytes:
    """Return a message as bytes, its length first."""
    blob = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(blob)) + blob


class MainConnection:
    """The worker's end: the control thread takes messages in, the work thread runs tasks."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected stream socket."""
        self.sock = sock
        self.sock.setblocking(True)
        self.tasks: SimpleQueue[Task | None] = SimpleQueue()
        self.sending = threading.Lock()
        self.ready = Ready(os.getpid())

    def send(self, message: ToMain) -> None:
        """Send a message whole; either thread may."""
        blob = frame(message)
        with self.sending:
            self.sock.sendall(blob)

    def start_control_thread(self, runner: TaskRunner) -> None:
        """Receive main's messages in a thread from now on, and send ``Ready``.

        Raises:
            SystemExit: No thread can be started; main has the reason.
        """
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave_to_parent)
        receive = partial(self._receive, runner)
        control = threading.Thread(target=receive, daemon=True, name="control")
        try:
            control.start()
        except RuntimeError as error:
            self.send(StartFailed(reason_for(error)))
            raise SystemExit(1) from None
        self.send(self.ready)

    def serve(self, runner: TaskRunner) -> None:
        """Run tasks until main says shutdown, or is gone."""
        self.start_control_thread(runner)
        while task := self.tasks.get():
            for answer in self.perform(task, runner):
                self.send(answer)
            runner.slot[runner.index] = IDLE

    def perform(self, task: Task, runner: TaskRunner) -> Iterator[Answer]:
        """Run a task; yield the answers that the control thread has not sent meanwhile."""
        try:
            runner.unpack(task)
        except BaseException as error:
            yield UnpickleFailed(task.first, describe(error))
            return
        runner.run()
        with self.sending:  # an early report that was taken by now has been sent as well
            report = runner.report()
        if report:
            yield report
        if revoked := runner.release():
            yield Released([revoked])

    def _leave_to_parent(self) -> None:
        """Close the connection in a child that ``work`` forked."""
        if self.sock.fileno() >= 0:  # else its parent was such a child, too
            os.close(self.sock.detach())

    def _receive(self, runner: TaskRunner) -> None:
        with suppress(OSError, EOFError), self.sock.makefile("rb") as stream:
            while not isinstance(message := _read_message(stream), Shutdown):
                if isinstance(message, Task):
                    self.tasks.put(message)
                else:
                    self._release(runner)
        self.tasks.put(None)

    def _release(self, runner: TaskRunner) -> None:
        """Return the waiting items to main: a slow item must not hold them up."""
        numbers = [runner.release()]
        with suppress(Empty):
            while task := self.tasks.get_nowait():
                numbers.append(range(task.first, task.first + task.count))
        with self.sending:  # of two threads, the first to look sends first
            if report := runner.report():
                self.sock.sendall(frame(report))
        self.send(Released(numbers))


def worker_main(
    args: WorkerArgs, serve: Callable[[MainConnection, TaskRunner], None] = MainConnection.serve
) -> None:
    """Run a worker process: follow main, log to the listener, import and set up the job, run tasks.

    Raises:
        SystemExit: The job cannot be imported or set up, or no thread can be started; main has the
            reason.
    """
    follow_main(args.lifeline)
    stacks.write_to(args.stack)
    run_hooks_at_end(forked=was_forked())
    configure_worker(args.logs)
    capture(args.output)
    main = MainConnection(args.sock)
    try:
        job = WorkerJob(load_job(), args.place)
    except BaseException as error:
        main.send(StartFailed(describe(error)))
        raise SystemExit(1) from None
    main.ready = Ready(os.getpid(), job.has_lifespan)
    runner = TaskRunner(job.work, args.shared.current, args.index, args.shared.revoked)
    runner.retry = job.retry
    show_items_of(runner)
    try:
        with suppress(OSError):  # main no longer listens
            serve(main, runner)
    finally:
        job.end()


def _read_message(stream: BinaryIO) -> ToWorker:
    """Read one message.

    Raises:
        EOFError: Main is gone.
    """
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        raise EOFError
    message: ToWorker = pickle.loads(stream.read(HEADER.unpack(header)[0]))
    return message
