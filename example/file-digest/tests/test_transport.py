"""Records reach the other end whole, or the rescue file; a process never waits without bound."""

import enum
import logging
import multiprocessing
import os
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from file_digest.log import queue
from file_digest.log.fallback import StallTimeout
from file_digest.log.formats import LineFormatter
from file_digest.log.parts import PartFiles
from file_digest.log.pipe import (
    PipeHandler,
    PipeTransport,
    has_atomic_pipes,
)
from file_digest.log.queue import (
    QueueTransport,
    WaitingQueueHandler,
)
from file_digest.log.state import LOST, STALLED, LogState
from file_digest.log.wire import (
    ATOMIC,
    INCLUDE,
    PIECE,
    STOP,
    Piece,
    included_in,
    piece_in,
)

needs_pipe = pytest.mark.skipif(not has_atomic_pipes(), reason="no atomic pipes here")
STALL_SECONDS = 0.1


def handler_of(transport: PipeTransport | QueueTransport) -> Any:
    """Return a handler that shows just the message."""
    return transport.sender.handler(LineFormatter("%(message)s"), STALL_SECONDS)


def make(message: Any, *args: Any, **fields: Any) -> logging.LogRecord:
    """Return a record."""
    record = logging.LogRecord("name", logging.INFO, "path", 1, message, args, None)
    record.__dict__.update(fields)
    return record


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[PipeTransport]:
    """A pipe that nobody reads but the test."""
    transport = PipeTransport(tmp_path / "the [1].log")
    yield transport
    transport.close()


def fill(transport: PipeTransport) -> None:
    """Write until nothing goes in any more, not even a byte."""
    for size in (ATOMIC, 1):
        try:
            while True:
                os.write(transport.writer.fileno(), b"x" * (size - 1) + b"\n")
        except BlockingIOError:
            pass


def drain(transport: PipeTransport) -> bytes:
    """Read what is there."""
    return os.read(transport.reader.fileno(), 1 << 20)


@needs_pipe
@pytest.mark.parametrize(
    ("message", "wire"),
    [
        ("plain", b"plain\n"),
        ("a\nb", b"a\xfd  | b\n"),
        ("\udc80", b"\\udc80\n"),
        ("", b"\n"),
        ("x" * (ATOMIC - 1), b"x" * (ATOMIC - 1) + b"\n"),
    ],
    ids=["plain", "two lines", "surrogate", "empty", "as long as a write can be"],
)
def test_a_record_is_one_write(pipe: PipeTransport, message: str, wire: bytes) -> None:
    """Each newline on the wire ends a record."""
    handler_of(pipe).handle(make(message))
    assert drain(pipe) == wire


@needs_pipe
@pytest.mark.parametrize("size", [ATOMIC, 100_000])
def test_a_longer_record_travels_in_pieces(pipe: PipeTransport, size: int) -> None:
    """Each is one atomic write; the last line stands for the whole, which only we can read."""
    handler_of(pipe).handle(make("x" * size))
    *pieces, last = drain(pipe).splitlines(keepends=True)
    parts = PartFiles(pipe.sender.log_file)
    for line in pieces * 2:  # a listener that is killed meanwhile is followed by one that repeats
        assert len(line) <= ATOMIC
        assert line.startswith(PIECE)
        parts.add(piece_in(line) or Piece("", 0, b""))
    assert last.startswith(INCLUDE)
    assert parts.read(*included_in(last)) == b"x" * size
    (file,) = pipe.sender.log_file.parent.iterdir()
    assert file.stat().st_mode & 0o007 == 0


@needs_pipe
def test_the_end_removes_what_killed_processes_left(pipe: PipeTransport) -> None:
    """Files of this run's long records, and no others."""
    log_file = pipe.sender.log_file
    others = log_file.with_name("the [1].log.run-3.part")
    others.touch()
    PartFiles(log_file).add(Piece(f"{pipe.sender.run}-1", 0, b"begun"))
    assert len(list(log_file.parent.iterdir())) == 2
    pipe.close()
    assert list(log_file.parent.iterdir()) == [others]


@needs_pipe
@pytest.mark.parametrize("size", [10, 100_000])
def test_a_full_pipe_is_waited_for_once_then_gone_round(pipe: PipeTransport, size: int) -> None:
    """The first record waits, the next go to the rescue file at once; all are counted."""
    handler, rescue = handler_of(pipe), pipe.sender.log_file.with_name("the [1].log.rescue")
    fill(pipe)
    began = time.monotonic()
    handler.handle(make("1" * size))
    first = time.monotonic() - began
    for number in range(20):
        handler.handle(make("2" * size + str(number)))
    others = time.monotonic() - began - first
    assert STALL_SECONDS <= first < STALL_SECONDS * 5
    assert others < STALL_SECONDS
    assert rescue.read_text().count("\n") == 21
    assert list(rescue.parent.iterdir()) == [rescue]
    drain(pipe)
    handler.handle(make("again"))
    assert drain(pipe) == b"again\n"
    (warning,) = pipe.fallback.take_warnings()
    assert f"stood still or was slow: 21 log records went to {rescue}" in warning
    assert pipe.fallback.take_warnings() == [], "it is told once"


@needs_pipe
def test_what_the_rescue_file_cannot_take_is_counted(pipe: PipeTransport) -> None:
    """It is known how many records are lost, though their process may be gone by then."""
    handler = handler_of(pipe)
    pipe.sender.log_file.with_name("the [1].log.rescue").mkdir()
    fill(pipe)
    handler.handle(make("lost"))
    assert pipe.fallback.state.totals()[LOST] == 1
    assert "1 log records were lost" in pipe.fallback.take_warnings()[0]


@needs_pipe
def test_a_record_for_a_closed_pipe_goes_to_the_rescue_file(pipe: PipeTransport) -> None:
    """A process that outlives the run does not lose what it logs."""
    handler = handler_of(pipe)
    pipe.reader.close()
    handler.handle(make("late"))
    assert pipe.sender.log_file.with_name("the [1].log.rescue").read_text() == "late\n"


@needs_pipe
def test_threads_write_whole_records(pipe: PipeTransport) -> None:
    """No two records of one process mix."""
    handler = handler_of(pipe)

    def log(letter: str) -> None:
        for _ in range(50):
            handler.handle(make(letter * 100))

    threads = [threading.Thread(target=log, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = drain(pipe).decode().splitlines()
    assert sorted(lines) == sorted(letter * 100 for letter in "abcd" for _ in range(50))


@needs_pipe
def test_a_command_is_told_apart_from_any_record(pipe: PipeTransport) -> None:
    """No text can be taken for a command, and a full pipe refuses one."""
    handler_of(pipe).handle(make("\udcffstop"))
    assert not drain(pipe).startswith(b"\xff")
    assert pipe.send_command(STOP)
    assert drain(pipe) == b"\xffstop\n"
    fill(pipe)
    assert not pipe.has_room()
    assert not pipe.send_command(STOP)


def test_a_process_waits_while_the_listener_writes() -> None:
    """A listener that is only slow is not taken for one that stands still."""
    state, looks = LogState(), iter(range(20))

    def grow(seconds: float) -> bool:
        time.sleep(seconds)
        state.writes.value += 1
        return next(looks) == 19

    stall = StallTimeout(state, STALL_SECONDS)
    assert stall.wait_for(grow)
    stall.expired = True
    assert stall.wait_for(lambda _: True), "it has moved meanwhile"
    assert not stall.wait_for(lambda _: True), "it stands"


def test_a_process_waits_a_bounded_time_even_if_the_listener_writes() -> None:
    """A process that gets no room while all others do goes on as well."""
    state = LogState()

    def grow(seconds: float) -> bool:
        time.sleep(seconds)
        state.writes.value += 1
        return False

    began = time.monotonic()
    assert not StallTimeout(state, 0.02).wait_for(grow)
    assert time.monotonic() - began < 20


class Colour(enum.IntEnum):
    """A number that is no plain number."""

    RED = 1


@pytest.mark.parametrize("value", [threading.Lock(), Colour.RED, {"a": object()}, "\udc80", None])
def test_what_the_queue_carries_pickles_whatever_was_logged(value: Any, tmp_path: Path) -> None:
    """Arguments are in the text already; other objects are shown as text."""
    transport = QueueTransport(tmp_path / "log", multiprocessing.get_context("spawn"))
    handler: WaitingQueueHandler = handler_of(transport)
    error = ValueError("no")
    record = make("message %s", value, extra=value, exc_info=(type(error), error, None))
    arrived = pickle.loads(pickle.dumps(handler.prepare(record)))
    assert arrived.getMessage().startswith("message ")
    assert "ValueError: no" in arrived.getMessage()
    assert arrived.name == "name"
    transport.close()


def test_a_full_queue_is_waited_for_once_then_gone_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with the pipe."""
    monkeypatch.setattr(queue, "QUEUE_RECORDS", 2)
    transport = QueueTransport(tmp_path / "log", multiprocessing.get_context("spawn"))
    handler = handler_of(transport)
    for number in range(5):
        handler.handle(make("%d", number))
    assert (tmp_path / "log.rescue").read_text() == "2\n3\n4\n"
    assert [transport.queue.get().getMessage() for _ in range(2)] == ["0", "1"]  # type: ignore[union-attr]
    handler.handle(make("again"))
    assert transport.queue.get().getMessage() == "again"  # type: ignore[union-attr]
    assert transport.fallback.state.totals()[STALLED] == 3
    assert transport.send_command(STOP)
    assert transport.queue.get() == STOP
    transport.close()


@needs_pipe
def test_the_handlers_are_those_of_their_transports(pipe: PipeTransport, tmp_path: Path) -> None:
    """A worker gets a value that makes the handler there."""
    queue = QueueTransport(tmp_path / "log", multiprocessing.get_context("spawn"))
    assert isinstance(handler_of(pipe), PipeHandler)
    assert isinstance(handler_of(queue), WaitingQueueHandler)
    queue.close()
