"""Frames over a socket pair: whole or not at all, whatever the other side does."""

import contextlib
import pickle
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from {{ cookiecutter.package_name }}.items.messages import (
    GivenBack,
    Goodbye,
    Ready,
    Recall,
    Report,
    StartFailed,
    Task,
    Unreadable,
)
from {{ cookiecutter.package_name }}.worker import IDLE, Bench
from {{ cookiecutter.package_name }}.workers.connection import Link, Station, ToMain, frame


@pytest.fixture
def pair() -> Iterator[tuple[Link, socket.socket]]:
    """Main's link and the other end of it."""
    ours, theirs = socket.socketpair()
    yield Link(ours), theirs
    ours.close()
    theirs.close()


def received(link: Link, count: int) -> list[ToMain]:
    """Return the next ``count`` messages, however many reads that takes."""
    messages: list[ToMain] = []
    link.sock.settimeout(10)
    while len(messages) < count:
        messages += link.receive()
    link.sock.setblocking(False)
    return messages


@pytest.mark.parametrize("step", [1, 7, 1_000])
def test_messages_arrive_whole(pair: tuple[Link, socket.socket], step: int) -> None:
    """Frames cut at any byte are put together again, and several in one read taken apart."""
    link, theirs = pair
    wire = frame(Ready()) + frame(StartFailed("x" * 50)) + frame(Ready())
    messages: list[ToMain] = []
    for at in range(0, len(wire), step):
        theirs.sendall(wire[at : at + step])
        messages += link.receive()
    assert messages == [Ready(), StartFailed("x" * 50), Ready()]


@pytest.mark.parametrize("cut", [1, 8, 20])
def test_half_a_message_is_dropped(pair: tuple[Link, socket.socket], cut: int) -> None:
    """What a worker had sent whole counts; the message that it died in does not."""
    link, theirs = pair
    theirs.sendall(frame(Ready()) + frame(StartFailed("late"))[:cut])
    theirs.close()
    assert list(link.receive()) == [Ready()]
    with pytest.raises(EOFError):
        list(link.receive())


def test_unread_task_does_not_hide_last_words(pair: tuple[Link, socket.socket]) -> None:
    """A worker that dies with a task unread, which resets the connection, is heard all the same."""
    link, theirs = pair
    link.send(Goodbye())
    theirs.sendall(frame(Ready()))
    theirs.close()
    assert list(link.receive()) == [Ready()]
    with pytest.raises(EOFError):
        list(link.receive())


def test_link_never_blocks(pair: tuple[Link, socket.socket]) -> None:
    """What a stopped worker does not read is kept and sent later, in order."""
    link, theirs = pair
    tasks = [Task(number, bytes(3_000_000), 1) for number in range(2)]
    for task in tasks:
        link.send(task)
    assert link.outgoing
    data = b""
    while link.outgoing or len(data) < sum(len(frame(task)) for task in tasks):
        data += theirs.recv(1 << 20)
        link.flush()
    assert data == b"".join(map(frame, tasks))


def test_link_to_a_dead_worker_drops(pair: tuple[Link, socket.socket]) -> None:
    """Sending to a worker that is gone is no error: main learns of it by reading."""
    link, theirs = pair
    theirs.close()
    link.send(Task(0, bytes(3_000_000), 1))
    link.send(Goodbye())
    assert not link.outgoing


class Serving:
    """A station that serves in a thread, and main's link to it."""

    def __init__(self, work: Any) -> None:
        """Begin."""
        ours, theirs = socket.socketpair()
        self.link = Link(ours)
        self.bench = Bench(work, [IDLE], 0)
        self.station = Station(theirs)
        self.thread = threading.Thread(target=self.station.serve, args=(self.bench,))
        self.thread.start()
        assert received(self.link, 1) == [Ready()]

    def close(self) -> None:
        """Say goodbye and wait for the end."""
        self.link.send(Goodbye())
        self.thread.join(10)
        assert not self.thread.is_alive()
        self.link.sock.close()
        self.station.sock.close()


def task(first: int, *payloads: Any) -> Task:
    """Return a task with these payloads."""
    return Task(first, pickle.dumps(list(payloads)), len(payloads))


def test_station_does_tasks_until_goodbye() -> None:
    """Each task is answered by its report; a payload that does not unpickle by the reason."""
    serving = Serving(lambda payload: payload + 1)
    with contextlib.closing(serving):
        serving.link.send(task(0, 1, 2))
        serving.link.send(Task(2, b"not a pickle", 1))
        serving.link.send(task(3, 5))
        first, second, third = received(serving.link, 3)
    assert isinstance(first, Report)
    assert isinstance(second, Unreadable)
    assert isinstance(third, Report)
    assert (first.first, first.results) == (0, "2\n3")
    assert (second.first, third.first, third.results) == (2, 3, "6")
    assert serving.bench.slot[0] == IDLE


def test_station_gives_back_what_waits_behind_a_slow_item() -> None:
    """A recall brings the results so far and all that is not begun, of this task and the next."""
    begun, go_on = threading.Event(), threading.Event()

    def work(payload: int) -> int:
        if payload == 1:
            begun.set()
            go_on.wait(10)
        return payload

    serving = Serving(work)
    with contextlib.closing(serving):
        serving.link.send(task(0, 0, 1, 2, 3))
        serving.link.send(task(4, 4, 5))
        assert begun.wait(10)
        serving.link.send(Recall())
        early, given = received(serving.link, 2)
        assert isinstance(early, Report)
        assert early.results == "0"
        assert given == GivenBack([range(2, 4), range(4, 6)])
        go_on.set()
        (late,) = received(serving.link, 1)
        assert isinstance(late, Report)
        assert (late.first, late.results) == (1, "1")


def test_station_leaves_when_main_is_gone() -> None:
    """Without a goodbye the end of the stream ends a worker that waits."""
    serving = Serving(lambda payload: payload)
    serving.link.sock.close()
    serving.thread.join(10)
    assert not serving.thread.is_alive()
    serving.station.sock.close()
