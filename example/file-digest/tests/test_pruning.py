"""Old outcomes alone are removed, and their space is used again or returned."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from file_digest.items.events import STARTED, WorkerEvent
from file_digest.items.messages import DONE, Outcome
from file_digest.results import journal as journal_module
from file_digest.results import pruning
from file_digest.results.database import JournalError
from file_digest.results.journal import Journal
from file_digest.results.pruning import count_ended, prune

from .support import old_journals

DAY = 86_400.0
AGES = {
    "new": 0.0,
    "old": 40 * DAY,
    "just young enough": 30 * DAY - 60,
    "just too old": 30 * DAY + 1,
}
KEPT = ["new", "just young enough"]


def outcome(key: str, age: float = 0.0, seconds: float = 1.0, size: int = 0) -> Outcome:
    """Return an outcome that ended so many seconds ago."""
    result = f'"{"x" * size}"'
    return Outcome(key, DONE, result, None, 1, "worker-1", time.time() - age - seconds, seconds)


def keys(path: Path) -> list[str]:
    """Return the keys that have an outcome."""
    with closing(sqlite3.connect(path)) as database:
        return [key for (key,) in database.execute("SELECT key FROM outcomes ORDER BY rowid")]


def journal_of(path: Path, *outcomes: Outcome) -> Path:
    """Leave a journal, as a run does that has ended."""
    with Journal(path) as journal:
        journal.record(outcomes)
    return path


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit recorded outcomes, and prune a portion."""
    monkeypatch.setattr(journal_module, "COMMIT_SECONDS", -1.0)


def test_what_ended_before_a_time_goes(tmp_path: Path) -> None:
    """With its events; a long item counts from its end."""
    path = journal_of(
        tmp_path / "results.db",
        *(outcome(key, age) for key, age in AGES.items()),
        outcome("long", 10 * DAY, seconds=40 * DAY),
    )
    with Journal(path) as journal:
        for age in (0.0, 40 * DAY):
            journal.events.pending.append(WorkerEvent(time.time() - age, "worker-1", STARTED))
    assert count_ended(path, time.time() - 30 * DAY) == 2
    pruned = prune(path, time.time() - 30 * DAY)
    assert (pruned.outcomes, keys(path)) == (2, [*KEPT, "long"])
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM events").fetchone() == (1,)


@pytest.mark.usefixtures("at_once")
def test_a_run_prunes_as_it_is_set(tmp_path: Path) -> None:
    """Whatever order the rows are in, within a portion, and with no row to come."""
    path = journal_of(tmp_path / "results.db", *(outcome(key, age) for key, age in AGES.items()))
    with Journal(path, keep=30 * DAY) as journal:
        journal.record([])
        assert keys(path) == KEPT
        assert [key for key, _ in journal.admit([("old", 1), ("new", 2)])] == ["old"]


@pytest.mark.usefixtures("at_once")
def test_a_key_that_is_pruned_is_new_again(tmp_path: Path) -> None:
    """In the run that did it as in a later one; and is done once again, also when all went."""
    with Journal(tmp_path / "results.db", keep=0.0) as journal:
        for _ in range(3):
            assert [key for key, _ in journal.admit([("one", 1), ("one", 1)])] == ["one"]
            journal.record([outcome("one", 10.0)])
            for _ in range(4):
                journal.record([])
            assert keys(journal.path) == []
        assert len(journal.take_changes()) == 3


@pytest.mark.usefixtures("at_once")
def test_numbers_of_rows_that_come_again_are_told_apart(tmp_path: Path) -> None:
    """Once all rows are gone SQLite counts from 1: a run still knows which rows are its own."""
    path = journal_of(tmp_path / "results.db", *(outcome(f"old-{n}", 40 * DAY) for n in range(9)))
    with Journal(path, retry_failed=True, keep=30 * DAY) as journal:
        journal.record([])
        assert keys(path) == []
        journal.admit([("one", 1)])
        journal.record([outcome("one")._replace(status="failed")])
        assert journal.admit([("one", 1)]) == [], "it failed in this run, not in an earlier one"
        assert [change.key for change in journal.take_changes()] == ["one"]


@pytest.mark.usefixtures("at_once")
def test_a_run_keeps_pace_and_its_file_stays_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty days of which two are kept: the file is no larger than after the first few."""
    monkeypatch.setattr(pruning, "PASS_SECONDS", 0.0)
    path, rows, sizes = tmp_path / "results.db", 2_000, []
    with Journal(path, keep=2 * DAY) as journal:
        for day in range(20):
            monkeypatch.setattr(time, "time", lambda day=day: day * DAY)
            journal.record([outcome(f"{day}-{n}", size=200) for n in range(rows)])
            journal.record([])
            sizes.append(pruning._pragma(journal.database, "page_count"))
    assert rows <= len(keys(path)) <= 3 * rows
    assert max(sizes) <= 1.5 * max(sizes[:3])


def test_the_file_shrinks(tmp_path: Path) -> None:
    """By what went, when no run lives."""
    old = [outcome(f"old-{n}", 40 * DAY, size=1_000) for n in range(3_000)]
    path = journal_of(tmp_path / "results.db", *old, outcome("new"))
    pruned = prune(path, time.time() - 30 * DAY)
    assert pruned.size_before > 3_000_000
    assert path.stat().st_size == pruned.size < 100_000


@pytest.mark.parametrize("leave", [old_journals.finished, old_journals.killed])
def test_a_file_of_an_earlier_version_can_shrink_from_then_on(
    tmp_path: Path, leave: Callable[[Path], None]
) -> None:
    """It is written anew, once."""
    path = tmp_path / "results.db"
    leave(path)
    assert prune(path, 1_800_000_001.0).outcomes == 1
    assert keys(path) == ["two"]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA auto_vacuum").fetchone() == (pruning.INCREMENTAL,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_is_not_settled_stays(tmp_path: Path) -> None:
    """However old it is: ``settled`` is called at least once for each outcome."""
    path = journal_of(tmp_path / "results.db", outcome("open", 40 * DAY), outcome("old", 40 * DAY))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO unsettled VALUES (1)")
    assert prune(path, time.time() - 30 * DAY).outcomes == 1
    assert keys(path) == ["open"]


def test_a_run_that_does_not_answer_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is withdrawn, and nothing is removed."""
    monkeypatch.setattr(pruning, "ANSWER_SECONDS", 0.2)
    path = journal_of(tmp_path / "results.db", outcome("old", 40 * DAY))
    with Journal(path), pytest.raises(JournalError, match="a run that does not answer"):
        prune(path, time.time() - 30 * DAY)
    assert keys(path) == ["old"]
    assert not path.with_name("results.db-prune").exists()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("text", ["", "soon", "nan"])
def test_a_request_of_nonsense_removes_nothing(tmp_path: Path, text: str) -> None:
    """Nor does it end the run."""
    path = journal_of(tmp_path / "results.db", outcome("old", 40 * DAY))
    path.with_name("results.db-prune").write_text(text)
    with Journal(path) as journal:
        journal.record([])
    assert keys(path) == ["old"]
