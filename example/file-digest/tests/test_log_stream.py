"""Standard output in place of the log file, and a listener that dies at any step of a write."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from file_digest.log import stream
from file_digest.log.stream import WRAP, LogStream

from .support.recovery_files import Pipe

pytest.importorskip("fcntl", reason="no log goes to standard output elsewhere")
assert sys.platform != "win32"


class PipeToStream(Pipe):
    """A pipe with standard output at its end: another pipe."""

    def __init__(self, folder: Path) -> None:
        """Open both."""
        super().__init__(folder)
        self.out, end = os.pipe()
        self.stream = LogStream(end, self.log)

    def open_log(self) -> LogStream:
        """Return what a listener writes to."""
        return self.stream.opened()

    def taken(self) -> bytes:
        """Return what came out by now."""
        os.set_blocking(self.out, False)
        try:
            return os.read(self.out, 1 << 20)
        except BlockingIOError:
            return b""


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[PipeToStream]:
    """Make one."""
    made = PipeToStream(tmp_path)
    yield made
    made.close()


def test_a_listener_that_dies_at_any_step_costs_no_line(
    pipe: PipeToStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All lines come, in order and whole; those of one write come twice at most."""
    monkeypatch.setattr(stream, "ATOMIC", 8)
    step, lines, twice = 0, [b"one\n", b"two\n", b"three\n"], 0
    while True:
        pipe.send(*lines)
        died = pipe.listen_until(step)
        pipe.listen()
        out = pipe.taken().splitlines(keepends=True)
        assert list(dict.fromkeys(out)) == lines
        assert len(out) - len(lines) <= 2
        twice += len(out) > len(lines)
        if not died:
            break
        step += 1
    assert step > 20
    assert 0 < twice <= 2, "only between a write and its note"


def test_a_long_record_goes_on_where_it_stopped(
    pipe: PipeToStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written piece by piece; between a write and its note one piece may come twice."""
    monkeypatch.setattr(stream, "ATOMIC", 8)
    step, record, twice = 0, b"0123456789abcdefghij\n", 0
    while True:
        pipe.send_long(record)
        died = pipe.listen_until(step)
        pipe.listen()
        out = pipe.taken()
        twice += out != record
        assert out.startswith(record[:8])
        assert out.endswith(record[-5:])
        if not died:
            break
        step += 1
    assert twice <= 3, "only between a write and its note"


def test_the_count_begins_anew_without_harm(pipe: PipeToStream) -> None:
    """A service that writes for years, and a listener that dies meanwhile."""
    pipe.stream.counts[0] = WRAP - 5
    for _ in range(2):
        pipe.send(b"one\n", b"two\n")
        pipe.listen_until(12)
        pipe.listen()
        assert pipe.taken() == b"one\ntwo\n"


def test_what_nobody_takes_is_counted_by_records(
    pipe: PipeToStream, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record of several lines counts once, and standard error is told once."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), pipe.out)
    pipe.send(b"one\n", b"two\xfd  | of it\n")
    pipe.listen()
    pipe.send(b"three\n")
    pipe.listen()
    assert pipe.stream.lost == 3
    assert capsys.readouterr().err.count("standard output cannot be written") == 1
