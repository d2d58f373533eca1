"""Messages between main and one worker: frames over a socket pair that only these two share.

    main:   Link  ── Task, Recall, Goodbye ──▶  worker: control thread ──▶ work thread
    main:   Link  ◀── Ready, Report, GivenBack, … ──  worker: either thread

Nobody else holds an end, so a worker that is killed in the middle of a message harms no one: main
sees the end of its stream and drops what is incomplete.
"""

import os
import pickle
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, MutableSequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import BinaryIO

from ..configurer import LogSetup, configure_worker
from ..items.messages import (
    GivenBack,
    Goodbye,
    Ready,
    Recall,
    Report,
    StartFailed,
    Task,
    Unreadable,
)
from ..system.capacity import reason_for
from ..system.errors import describe
from ..system.inheritance import was_forked
from ..system.leaving import run_hooks_at_end
from ..system.lifeline import follow_main
from ..worker import IDLE, Bench

HEADER = struct.Struct("!Q")
READ_BYTES = 1 << 18

ToWorker = Task | Recall | Goodbye
ToMain = Ready | StartFailed | Report | GivenBack | Unreadable


def frame(message: object) -> bytes:
    """Return a message as bytes, its length first."""
    blob = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return HEADER.pack(len(blob)) + blob


class Link:
    """Main's end. It never blocks: a worker that is stopped must not stop main."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected stream socket."""
        self.sock = sock
        self.sock.setblocking(False)
        self.outgoing: deque[memoryview] = deque()
        self.incoming = bytearray()

    def send(self, message: ToWorker) -> None:
        """Send now what the socket takes, and keep the rest for ``flush``."""
        self.outgoing.append(memoryview(frame(message)))
        self.flush()

    def flush(self) -> None:
        """Send what is left to send; to a dead worker it is dropped."""
        try:
            while self.outgoing:
                sent = self.sock.send(self.outgoing[0])
                rest = self.outgoing[0][sent:]
                self.outgoing.popleft()
                if rest:
                    self.outgoing.appendleft(rest)
        except BlockingIOError:
            return
        except OSError:
            self.outgoing.clear()

    def receive(self) -> Iterator[ToMain]:
        """Yield the messages that are complete by now.

        Raises:
            EOFError: The worker is gone and everything that it sent was yielded.
        """
        ended = self._read()
        at = 0
        while len(self.incoming) >= at + HEADER.size:
            end = at + HEADER.size + HEADER.unpack_from(self.incoming, at)[0]
            if end > len(self.incoming):
                break
            blob = bytes(memoryview(self.incoming)[at + HEADER.size : end])
            at = end
            yield pickle.loads(blob)
        del self.incoming[:at]
        if ended:
            raise EOFError

    def _read(self) -> bool:
        try:
            data = self.sock.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.incoming += data
        return not data


class Station:
    """A worker's end: the control thread takes messages in, the work thread does tasks."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over a connected stream socket."""
        self.sock = sock
        self.sock.setblocking(True)
        self.tasks: SimpleQueue[Task | None] = SimpleQueue()
        self.sending = threading.Lock()
        self.on_goodbye: Callable[[], object] = lambda: None

    def send(self, message: ToMain) -> None:
        """Send a message whole; either thread may."""
        blob = frame(message)
        with self.sending:
            self.sock.sendall(blob)

    def report(self, bench: Bench) -> None:
        """Send what is done and not yet reported; of two threads, the first to look sends first."""
        with self.sending:
            if report := bench.report():
                self.sock.sendall(frame(report))

    def attend(self, bench: Bench) -> None:
        """Take in main's messages from now on, in a thread, and tell it so.

        Raises:
            SystemExit: There is no thread to be had; main was told so.
        """
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=partial(self._leave_to_parent, bench))
        control = threading.Thread(target=self._take_in, args=(bench,), daemon=True, name="control")
        try:
            control.start()
        except RuntimeError as error:
            self.send(StartFailed(reason_for(error)))
            raise SystemExit(1) from None
        self.send(Ready())

    def serve(self, bench: Bench) -> None:
        """Do tasks until main says goodbye, or is gone."""
        with suppress(OSError):  # main no longer listens
            self.attend(bench)
            while task := self.tasks.get():
                self._do(task, bench)
                bench.slot[bench.index] = IDLE

    def _do(self, task: Task, bench: Bench) -> None:
        try:
            bench.unpack(task)
        except BaseException as error:
            self.send(Unreadable(task.first, describe(error)))
            return
        bench.do()
        self.report(bench)
        if revoked := bench.give_back():
            self.send(GivenBack([revoked]))

    def _leave_to_parent(self, bench: Bench) -> None:
        """In a child that work() forked: should it come back from work(), it has nothing to do."""
        bench.todo.clear()
        if self.sock.fileno() >= 0:  # else its parent was such a child, too
            os.close(self.sock.detach())

    def _take_in(self, bench: Bench) -> None:
        with suppress(OSError, EOFError), self.sock.makefile("rb") as stream:
            while not isinstance(message := _read_message(stream), Goodbye):
                if isinstance(message, Task):
                    self.tasks.put(message)
                else:
                    self._give_back(bench)
            self.on_goodbye()
        self.tasks.put(None)

    def _give_back(self, bench: Bench) -> None:
        """Hand back what waits: a slow item must hold up nobody."""
        numbers = [bench.give_back()]
        with suppress(Empty):
            while task := self.tasks.get_nowait():
                numbers.append(range(task.first, task.first + task.count))
        self.report(bench)
        self.send(GivenBack(numbers))


def open_station(
    sock: socket.socket,
    slots: MutableSequence[int],
    index: int,
    lifeline: Connection,
    logs: LogSetup,
) -> tuple[Station, Bench]:
    """In a new worker process: follow main, log to the listener, import the job.

    Raises:
        SystemExit: The job cannot be imported; main was told why.
    """
    follow_main(lifeline)
    run_hooks_at_end(forked=was_forked())
    configure_worker(logs)
    station = Station(sock)
    try:
        from .. import job  # noqa: PLC0415 - the owner's code: what it raises is told to main
    except BaseException as error:
        station.send(StartFailed(describe(error)))
        raise SystemExit(1) from None
    return station, Bench(job.work, slots, index)


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
