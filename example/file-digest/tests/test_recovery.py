"""The buffer copies every record exactly once, at whatever step a listener is killed."""

import os
from collections.abc import Callable, Iterator
from itertools import count, product
from pathlib import Path

import pytest

from file_digest.log import logfile, recovery
from file_digest.log.logfile import LogFile
from file_digest.log.recovery import ROOM, RecoveryBuffer
from file_digest.log.wire import COMMAND, INCLUDE, NEWLINE

from .support.recovery_files import Killed, Pipe


@pytest.fixture
def make_pipe(tmp_path: Path) -> Iterator[Callable[..., Pipe]]:
    """Make pipes, one at a time."""
    made: list[Pipe] = []

    def make(**options: int) -> Pipe:
        for old in made:
            old.close()
        made[:] = [Pipe(tmp_path, **options)]
        return made[0]

    yield make
    for pipe in made:
        pipe.close()


def short_records(pipe: Pipe) -> bytes:
    """A few records, one of them of two lines."""
    pipe.send(b"one\n", b"two" + NEWLINE + b"  | more\n", b"three\n")
    return b"one\ntwo\n  | more\nthree\n"


def long_records(pipe: Pipe) -> bytes:
    """Long records between short ones, each of them in pieces."""
    longer = b"longer " * 9 + b"\n"
    pipe.send(b"one\n")
    pipe.send_long(b"long " * 9 + NEWLINE + b"  | more\n")
    pipe.send_long(longer)
    pipe.send(b"two\n")
    return b"one\n" + b"long " * 9 + b"\n  | more\n" + longer + b"two\n"


def commands_between(pipe: Pipe) -> bytes:
    """Commands between records, first and last."""
    pipe.send(COMMAND + b"a\n", b"one\n", COMMAND + b"b\n", b"two\n", COMMAND + b"c\n")
    return b"one\ntwo\n"


def many_records(pipe: Pipe) -> bytes:
    """Enough records for several files of 100 bytes, one of them longer than a file may be."""
    records = [b"%d %s\n" % (number, b"x" * (number * 7 % 40)) for number in range(12)]
    records.insert(6, b"y" * 150 + b"\n")
    pipe.send(*records)
    return b"".join(records)


SCENES = [short_records, long_records, commands_between, many_records]
SMALL_ROOM = 160
"""It holds any of their records, and reading mostly ends in the middle of one."""


# The files that a killed listener had open are closed for it, as the system would.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.faults
@pytest.mark.parametrize(
    ("scene", "max_bytes", "room"), [*product(SCENES, [0, 100], [ROOM, SMALL_ROOM])]
)
def test_a_kill_at_any_step_neither_loses_nor_repeats_a_record(
    make_pipe: Callable[..., Pipe],
    monkeypatch: pytest.MonkeyPatch,
    scene: Callable[[Pipe], bytes],
    max_bytes: int,
    room: int,
) -> None:
    """Killed before any line of the recovery buffer's code, twice, the log is as without a kill."""
    monkeypatch.setattr(recovery, "ROOM", room)
    for step in count():
        pipe = make_pipe(max_bytes=max_bytes)
        expected = scene(pipe)
        was_killed = pipe.listen_until(step)
        pipe.listen_until(step * 7 % 61)
        pipe.listen()
        assert pipe.text() == expected, f"killed at step {step}"
        for path in pipe.files():
            whole_limit = max_bytes or len(expected)
            assert path.stat().st_size <= whole_limit or path.read_bytes().count(b"\n") == 1
        if not was_killed:
            break
    assert step > 30


@pytest.mark.parametrize("scene", SCENES)
def test_a_kill_in_the_middle_of_a_write_neither_loses_nor_tears_a_record(
    make_pipe: Callable[..., Pipe], scene: Callable[[Pipe], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel may have taken any part of a write when the listener dies."""
    write = os.write
    for size in count():
        pipe = make_pipe(max_bytes=100)
        expected = scene(pipe)

        def write_some(descriptor: int, data: bytes, size: int = size) -> int:
            if len(data) < size:
                return write(descriptor, data)
            write(descriptor, data[:size])
            raise Killed

        monkeypatch.setattr(os, "write", write_some)
        was_killed = pipe.listen_until_killed()
        monkeypatch.undo()
        pipe.listen()
        assert pipe.text() == expected, f"killed after {size} bytes"
        if not was_killed:
            break
    assert size > 4


def test_a_record_read_in_two_halves_is_written_once_and_whole(
    make_pipe: Callable[..., Pipe],
) -> None:
    """The beginning of a record waits for its rest, also across a kill."""
    pipe = make_pipe()
    pipe.send(b"one\ntw")
    pipe.listen()
    assert pipe.text() == b"one\n"
    pipe.send(b"o\n")
    pipe.listen()
    assert pipe.text() == b"one\ntwo\n"


def test_more_than_the_buffer_holds_passes_through_it(make_pipe: Callable[..., Pipe]) -> None:
    """Ten times the recovery buffer's room goes through in order."""
    pipe, sent = make_pipe(), b""
    while len(sent) < 10 * ROOM:
        block = b"".join(b"%d\n" % (len(sent) + n) for n in range(5_000))
        pipe.send(block)
        sent += block
        pipe.listen()
    assert pipe.text() == sent


def truncate(pipe: Pipe) -> None:
    """As logrotate's copytruncate does."""
    os.truncate(pipe.log, 0)


def append_a_record(pipe: Pipe) -> None:
    """As another program with the same log does."""
    with pipe.log.open("ab") as file:
        file.write(b"one from outside\n")


def rename(pipe: Pipe) -> None:
    """As logrotate does."""
    pipe.log.rename(pipe.log.with_name("the.log.1"))


def remove(pipe: Pipe) -> None:
    """As somebody who needs space does."""
    pipe.log.unlink()


@pytest.mark.parametrize("change", [truncate, append_a_record, rename, remove])
@pytest.mark.parametrize("written", [0, 4, 8], ids=["nothing", "a record", "all"])
def test_whoever_changes_the_log_meanwhile_costs_no_later_record(
    make_pipe: Callable[..., Pipe], change: Callable[[Pipe], None], written: int
) -> None:
    """The log is changed while a killed listener's last write is part done."""
    pipe = make_pipe()
    pipe.send(b"old\n")
    pipe.listen()
    pipe.send(b"one\ntwo\n")
    file = LogFile(*pipe.options)
    buffer = RecoveryBuffer(pipe.shared, file)
    buffer.read(pipe.reader)
    os.write(file.descriptor, b"one\ntwo\n"[:written])
    file.close()
    before = pipe.text() if change is not append_a_record else b""
    change(pipe)
    pipe.listen()
    text = before + pipe.text() if change in (truncate, remove) else pipe.text()
    lines = text.splitlines()
    assert [line for line in lines if line == b"one"]
    assert [line for line in lines if line == b"two"]
    if change is append_a_record:
        assert sorted(lines) == [b"old", b"one", b"one from outside", b"two"]


def test_text_of_others_that_begins_like_ours_is_not_taken_for_ours(
    make_pipe: Callable[..., Pipe],
) -> None:
    """A foreign line that shares its first bytes with the next record does not swallow them."""
    pipe = make_pipe()
    pipe.listen()
    pipe.send(b"2026-11-22 ours\n")
    with pipe.log.open("ab") as file:
        file.write(b"2026-11-22 theirs\n")
    pipe.listen_until(1_000_000)
    assert pipe.text() == b"2026-11-22 theirs\n2026-11-22 ours\n"


def test_an_incomplete_last_line_is_ended_before_the_first_record(
    make_pipe: Callable[..., Pipe],
) -> None:
    """After a power failure the torn line stays alone."""
    pipe = make_pipe()
    pipe.log.write_bytes(b"whole\nto")
    pipe.send(b"new\n")
    pipe.listen()
    assert pipe.text() == b"whole\nto\nnew\n"


def test_a_long_record_whose_file_is_gone_is_told_about(make_pipe: Callable[..., Pipe]) -> None:
    """The log says that a record is missing."""
    pipe = make_pipe()
    pipe.send(INCLUDE + b"run-1 7\n", b"next\n")
    pipe.listen()
    first, second = pipe.text().splitlines()
    assert b"could not be read" in first
    assert second == b"next"


def test_rotation_keeps_the_newest_files(make_pipe: Callable[..., Pipe]) -> None:
    """Of many files the newest and the wanted number of backups stay."""
    pipe = make_pipe(max_bytes=10, backups=2)
    pipe.send(*(b"line %d\n" % number for number in range(9)))
    pipe.listen()
    assert [path.name for path in pipe.files()] == ["the.log.2", "the.log.1", "the.log"]
    assert pipe.text() == b"line 6\nline 7\nline 8\n"


def test_a_rotation_that_fails_costs_no_record(
    make_pipe: Callable[..., Pipe], capsys: pytest.CaptureFixture[str]
) -> None:
    """When the backup's name is taken by a folder, the file grows and stderr says why, once."""
    pipe = make_pipe(max_bytes=10, backups=1)
    folder = pipe.log.with_name("the.log.1")
    folder.mkdir()
    pipe.send(b"line 1\n", b"line 2\n", b"line 3\n")
    pipe.listen()
    folder.rmdir()
    assert pipe.text() == b"line 1\nline 2\nline 3\n"
    assert capsys.readouterr().err.count("cannot be rotated") == 1


def test_a_full_disk_is_waited_for(
    make_pipe: Callable[..., Pipe],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Writes that fail or are short are tried again until all is written; stderr says so, once."""
    pipe, write, full = make_pipe(), os.write, iter([True, False, True, True, False])

    def write_some(descriptor: int, data: bytes) -> int:
        if next(full, False):
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:3])

    pipe.send(b"one\n", b"two\n", b"three\n")
    monkeypatch.setattr(os, "write", write_some)
    monkeypatch.setattr(logfile, "RETRY_SECONDS", 0)
    pipe.listen()
    monkeypatch.undo()
    assert pipe.text() == b"one\ntwo\nthree\n"
    assert capsys.readouterr().err.count("No space left on device") == 1
