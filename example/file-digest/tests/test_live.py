"""The state of a run, as ``status`` reads and shows it."""

import json
import os
import re
import time
from pathlib import Path

import pytest

from file_digest.cli import app
from file_digest.items.backlog import Backlog
from file_digest.items.events import WorkerNow
from file_digest.items.outcomes import NO_OUTCOMES
from file_digest.items.source import Source
from file_digest.items.stats import RunStats
from file_digest.results.heartbeat import Heartbeat
from file_digest.results.journal import Journal
from file_digest.results.live import (
    STUCK_SECONDS,
    Live,
    LiveFile,
    last_sign,
)
from file_digest.settings import Settings

LIVE = Live(
    pid=7,
    began=0.0,
    done=3,
    failed=1,
    rate=2.5,
    waiting=4,
    idle_since=None,
    memory=1 << 20,
    workers=[
        WorkerNow("worker-1", 8, None, None, 0),
        WorkerNow("worker-2", 9, "key\x1b", time.time() - 90, 1536),
    ],
)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return where a journal is."""
    return tmp_path / "results.db"


def test_it_is_read_as_it_was_written(results: Path) -> None:
    """Just now, and of a run that lives."""
    with Journal(results):
        LiveFile(results).write(LIVE)
        sign = last_sign(results)
        assert sign
        assert (sign.live, sign.is_stuck) == (LIVE, False)


@pytest.mark.parametrize(
    ("age", "stuck"),
    [(0.0, False), (STUCK_SECONDS - 1, False), (STUCK_SECONDS + 1, True), (-3600.0, True)],
)
def test_a_run_that_says_nothing_is_stuck(results: Path, age: float, *, stuck: bool) -> None:
    """A time to come means that the clock was set, and nothing else."""
    with Journal(results):
        file = LiveFile(results)
        file.write(LIVE)
        os.utime(file.path, (time.time() - age,) * 2)
        sign = last_sign(results)
        assert sign
        assert sign.is_stuck is stuck


def test_a_file_without_a_run_is_no_sign_of_life(results: Path) -> None:
    """A killed run leaves its file; the system takes its lock away."""
    LiveFile(results).write(LIVE)
    assert last_sign(results) is None
    with Journal(results):
        assert last_sign(results)
    assert last_sign(results) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"workers": [1]}', b"\xff"])
def test_a_damaged_file_is_no_sign_of_life(results: Path, content: bytes) -> None:
    """Nor is one of another version."""
    with Journal(results):
        LiveFile(results).path.write_bytes(content)
        assert last_sign(results) is None


def test_what_has_not_changed_is_not_written_again(results: Path) -> None:
    """Only its time is: an idle service keeps no disk awake. One that was removed comes back."""
    file = LiveFile(results)
    file.write(LIVE)
    number = file.path.stat().st_ino
    os.utime(file.path, (0, 0))
    file.write(LIVE)
    assert file.path.stat().st_ino == number
    assert time.time() - file.path.stat().st_mtime < 60
    file.remove()
    file.write(LIVE)
    assert file.path.exists()


def test_what_cannot_be_written_is_told_once(
    results: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And the run goes on."""
    backlog = Backlog(Source(list, lambda: None), list, 1)
    heartbeat = Heartbeat(Settings(results=results), RunStats(), backlog, lambda: [0, 0, 0])
    heartbeat.file.path.mkdir()
    for _ in range(3):
        heartbeat.due = 0.0
        heartbeat.turn(NO_OUTCOMES)
    assert len(caplog.messages) == 1
    assert "the state of the run cannot be written" in caplog.messages[0]


def test_status_shows_both(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The journal's figures and the run's, the longest item first, keys made safe."""
    with Journal(results):
        LiveFile(results).write(LIVE)
        assert app.main(["status", "--results", str(results)]) == 0
    journal, run, longest, idle = capsys.readouterr().out.splitlines()
    assert journal.endswith("0 done, 0 failed")
    assert run.endswith("pid 7, 1 MB: 3 done, 1 failed, 4 waiting, 2.5 items/s")
    assert re.fullmatch(r"  worker-2: \d+\.\d s at key\\x1b, 1\.5 kB", longest)
    assert idle == "  worker-1: idle"


def test_status_for_programs(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object; what is live is null where nothing lives."""
    arguments = ["status", "--results", str(results), "--json"]
    with Journal(results):
        LiveFile(results).write(LIVE)
        assert app.main(arguments) == 0
    seen = json.loads(capsys.readouterr().out)
    assert seen["journal"] == {"done": 0, "failed": 0, "errors": {}, "unsettled": 0}
    assert seen["live"]["workers"][1]["item"] == "key\x1b"
    assert not seen["live"]["stuck"]
    assert app.main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["live"] is None


def test_ways_to_ask_exclude_each_other(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two at a time are wrong usage."""
    assert app.main(["status", "--results", str(results), "--json", "--alive"]) == 2
    assert "give one of" in capsys.readouterr().err


def test_alive_says_why_not(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 and one line: no run, one that has not begun, one that is stuck; else 0."""
    arguments, file = ["status", "--results", str(results), "--alive"], LiveFile(results)
    assert app.main(arguments) == 1
    with Journal(results):
        assert app.main(arguments) == 1
        file.write(LIVE)
        assert app.main(arguments) == 0
        os.utime(file.path, (0, 0))
        assert app.main(arguments) == 1
    whys = capsys.readouterr().err.splitlines()
    for why, line in zip(("no run", "not begun", "stuck"), whys, strict=True):
        assert why in line
