"""Stand-ins for workers: one process that speaks for hundreds of them and does no work.

    main: WorkerManager ── args.sock, by SCM_RIGHTS ──▶ this process
    main: WorkerConnection ◀── Task, Report, as with a worker ──▶ a stand-in

Main sees what it sees of workers: a socket each, a sentinel each, the number of the current item in
shared memory. A task is answered once its items would be done.
"""

import heapq
import os
import pickle
import selectors
import socket
import struct
import time
from array import array
from collections import deque
from functools import cache
from typing import Any

from . import rendered

MODEL = "process"
PLACE = struct.Struct("!q")
"""Sent by main for each new stand-in, beside its descriptors: the index of its number."""
READ_BYTES = 1 << 16


class StandIn:
    """One of them: its tasks, and when the current one is done."""

    def __init__(self, sock: socket.socket, sentinel: int, slot: int) -> None:
        """Take over a worker's end of the socket pair, and what tells main of its end."""
        self.sock, self.sentinel, self.slot = sock, sentinel, slot
        self.tasks: deque[Any] = deque()
        self.incoming = bytearray()
        self.done_at = 0.0


class Host:
    """The process that they live in."""

    def __init__(self, control: socket.socket, current: Any, seconds: float) -> None:
        """Take stand-ins from ``control``; each item takes them ``seconds``."""
        self.control, self.current, self.seconds = control, current, seconds
        self.messages = rendered.module(MODEL, "items.messages")
        self.worker = rendered.module(MODEL, "worker")
        self.selector = selectors.DefaultSelector()
        self.selector.register(control, selectors.EVENT_READ)
        self.due: list[tuple[float, int, StandIn]] = []
        self.answers = cache(self._answer)

    def run(self) -> None:
        """Answer until main has gone."""
        while self.selector.get_map():
            wait = max(0.0, self.due[0][0] - time.monotonic()) if self.due else None
            for key, _ in self.selector.select(wait):
                if key.data:
                    self._hear(key.data)
                else:
                    self._take_one_in()
            self._answer_due()

    def _take_one_in(self) -> None:
        place, descriptors, *_ = socket.recv_fds(self.control, PLACE.size, 2)
        if not descriptors:
            self.selector.unregister(self.control)
            return
        stand_in = StandIn(
            socket.socket(fileno=descriptors[0]), descriptors[1], *PLACE.unpack(place)
        )
        self._send(stand_in, self.messages.Ready(os.getpid()))
        self.selector.register(stand_in.sock, selectors.EVENT_READ, stand_in)

    def _hear(self, stand_in: StandIn) -> None:
        """Take in what main sends; its end is the stand-in's."""
        data, header = stand_in.sock.recv(READ_BYTES), self.worker.HEADER
        incoming = stand_in.incoming
        incoming += data
        while len(incoming) >= header.size:
            end = header.size + header.unpack_from(incoming)[0]
            if len(incoming) < end:
                break
            message = pickle.loads(bytes(incoming[header.size : end]))  # noqa: S301 - main sent it
            del incoming[:end]
            self._obey(stand_in, message)
        if not data:
            self.selector.unregister(stand_in.sock)
            stand_in.sock.close()
            os.close(stand_in.sentinel)

    def _obey(self, stand_in: StandIn, message: Any) -> None:
        if isinstance(message, self.messages.Task):
            stand_in.tasks.append(message)
            if len(stand_in.tasks) == 1:
                self._begin(stand_in, time.monotonic())
        elif isinstance(message, self.messages.Revoke):
            waiting = [stand_in.tasks.pop() for _ in range(len(stand_in.tasks) - 1)]
            numbers = [range(task.first, task.first + task.count) for task in waiting]
            self._send(stand_in, self.messages.Released(numbers))

    def _begin(self, stand_in: StandIn, now: float) -> None:
        """Be at the first task from ``now`` on, or idle."""
        if not stand_in.tasks:
            self.current[stand_in.slot] = self.messages.IDLE
            return
        task = stand_in.tasks[0]
        self.current[stand_in.slot] = task.first
        stand_in.done_at = now + task.count * self.seconds
        heapq.heappush(self.due, (stand_in.done_at, task.first, stand_in))

    def _answer_due(self) -> None:
        """Report what is done by now; the next task began when it was done, as in a worker."""
        while self.due and self.due[0][0] <= time.monotonic():
            _, first, stand_in = heapq.heappop(self.due)
            task = stand_in.tasks.popleft()
            results, seconds = self.answers(task.count)
            elapsed = task.count * self.seconds
            started = time.time() - elapsed
            self._send(stand_in, self.messages.Report(first, results, started, elapsed, seconds))
            self._begin(stand_in, stand_in.done_at)

    def _answer(self, count: int) -> tuple[str, "array[float]"]:
        return "\n".join(["0"] * count), array("d", [self.seconds] * count)

    def _send(self, stand_in: StandIn, message: Any) -> None:
        stand_in.sock.sendall(self.worker.frame(message))


def host(control: socket.socket, current: Any, seconds: float) -> None:
    """Be the process of the stand-ins."""
    Host(control, current, seconds).run()
