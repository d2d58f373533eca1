"""Frames over a socket pair: whole or not at all, whatever the other side does."""

import contextlib
import os
import pickle
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from file_digest.items.messages import (
    IDLE,
    Ready,
    Released,
    Report,
    Revoke,
    Shutdown,
    StartFailed,
    Task,
    UnpickleFailed,
)
from file_digest.items.task_runner import TaskRunner
from file_digest.worker import MainConnection, ToMain, frame
from file_digest.workers.connection import WorkerConnection

READY = Ready(os.getpid())


@pytest.fixture
def pair() -> Iterator[tuple[WorkerConnection, socket.socket]]:
    """Main's connection and the other end of it."""
    ours, theirs = socket.socketpair()
    yield WorkerConnection(ours), theirs
    ours.close()
    theirs.close()


def received(connection: WorkerConnection, count: int) -> list[ToMain]:
    """Return the next ``count`` messages, however many reads that takes."""
    messages: list[ToMain] = []
    connection.sock.settimeout(10)
    while len(messages) < count:
        messages += connection.receive()
    connection.sock.setblocking(False)
    return messages


@pytest.mark.parametrize("step", [1, 7, 1_000])
def test_messages_arrive_whole(pair: tuple[WorkerConnection, socket.socket], step: int) -> None:
    """Frames cut at any byte are put together again, and several in one read taken apart."""
    connection, theirs = pair
    wire = frame(READY) + frame(StartFailed("x" * 50)) + frame(READY)
    messages: list[ToMain] = []
    for at in range(0, len(wire), step):
        theirs.sendall(wire[at : at + step])
        messages += connection.receive()
    assert messages == [READY, StartFailed("x" * 50), READY]


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_half_a_message_is_dropped(pair: tuple[WorkerConnection, socket.socket], cut: int) -> None:
    """Messages that a worker had sent whole count; the one in which it died does not."""
    connection, theirs = pair
    theirs.sendall(frame(READY) + frame(StartFailed("late"))[:cut])
    theirs.close()
    assert list(connection.receive()) == [READY]
    with pytest.raises(EOFError):
        list(connection.receive())


def test_unread_task_does_not_hide_last_words(pair: tuple[WorkerConnection, socket.socket]) -> None:
    """A worker that dies with a task unread, which resets the connection, is heard all the same."""
    connection, theirs = pair
    connection.send(Shutdown())
    theirs.sendall(frame(READY))
    theirs.close()
    assert list(connection.receive()) == [READY]
    with pytest.raises(EOFError):
        list(connection.receive())


def test_connection_never_blocks(pair: tuple[WorkerConnection, socket.socket]) -> None:
    """Messages that a stopped worker does not read are kept and sent later, in order."""
    connection, theirs = pair
    tasks = [Task(number, bytes(3_000_000), 1) for number in range(2)]
    for task in tasks:
        connection.send(task)
    assert connection.outgoing
    data = b""
    while connection.outgoing or len(data) < sum(len(frame(task)) for task in tasks):
        data += theirs.recv(1 << 20)
        connection.flush()
    assert data == b"".join(map(frame, tasks))


def test_connection_to_a_dead_worker_drops(pair: tuple[WorkerConnection, socket.socket]) -> None:
    """Sending to a worker that is gone is no error: main learns of it by reading."""
    connection, theirs = pair
    theirs.close()
    connection.send(Task(0, bytes(3_000_000), 1))
    connection.send(Shutdown())
    assert not connection.outgoing


class Serving:
    """A worker's end that serves in a thread, and main's end."""

    def __init__(self, work: Any) -> None:
        """Begin."""
        ours, theirs = socket.socketpair()
        self.connection = WorkerConnection(ours)
        self.runner = TaskRunner(work, [IDLE], 0)
        self.main = MainConnection(theirs)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        assert received(self.connection, 1) == [READY]

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            self.main.serve(self.runner)

    def close(self) -> None:
        """Say shutdown and wait for the end."""
        self.connection.send(Shutdown())
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.connection.sock.close()
        self.main.sock.close()


def task(first: int, *payloads: Any) -> Task:
    """Return a task with these payloads."""
    return Task(first, pickle.dumps(list(payloads)), len(payloads))


def test_worker_does_tasks_until_shutdown() -> None:
    """Each task is answered by its report; a payload that does not unpickle by the reason."""
    serving = Serving(lambda payload: payload + 1)
    with contextlib.closing(serving):
        serving.connection.send(task(0, 1, 2))
        serving.connection.send(Task(2, b"not a pickle", 1))
        serving.connection.send(task(3, 5))
        first, second, third = received(serving.connection, 3)
    assert isinstance(first, Report)
    assert isinstance(second, UnpickleFailed)
    assert isinstance(third, Report)
    assert (first.first, first.results) == (0, "2\n3")
    assert (second.first, third.first, third.results) == (2, 3, "6")
    assert serving.runner.slot[0] == IDLE


def test_worker_releases_what_waits_behind_a_slow_item() -> None:
    """Revoke brings the results so far and all that is not begun, of this task and the next."""
    begun, go_on = threading.Event(), threading.Event()

    def work(payload: int) -> int:
        if payload == 1:
            begun.set()
            go_on.wait(10)
        return payload

    serving = Serving(work)
    with contextlib.closing(serving):
        serving.connection.send(task(0, 0, 1, 2, 3))
        serving.connection.send(task(4, 4, 5))
        assert begun.wait(10)
        serving.connection.send(Revoke())
        early, given = received(serving.connection, 2)
        assert isinstance(early, Report)
        assert early.results == "0"
        assert given == Released([range(2, 4), range(4, 6)])
        go_on.set()
        (late,) = received(serving.connection, 1)
        assert isinstance(late, Report)
        assert (late.first, late.results) == (1, "1")


def test_worker_leaves_when_main_is_gone() -> None:
    """Without a shutdown the end of the stream ends a worker that waits."""
    serving = Serving(lambda payload: payload)
    serving.connection.sock.close()
    serving.thread.join(10)
    assert not serving.thread.is_alive()
    serving.main.sock.close()
