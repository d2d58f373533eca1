"""One outcome for each item, whatever its key and its result are."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from file_digest.items.messages import DONE, FAILED, Outcome
from file_digest.items.outcomes import Change
from file_digest.results import reading
from file_digest.results.journal import Journal


def outcome(key: str, status: str = DONE, error: str | None = None) -> Outcome:
    """Return an outcome with a result or an error."""
    return Outcome(key, status, "1" if status == DONE else None, error, 1, "worker-1", 1.5, 0.25)


def rows(path: Path) -> list[Outcome]:
    """Return a journal's rows, none of which may be damaged."""
    return list(reading.rows(path, lambda *fault: pytest.fail(f"{fault}")))


@pytest.mark.parametrize("apart", [False, True], ids=["in one commit", "in two"])
def test_the_first_outcome_of_a_key_stays(tmp_path: Path, *, apart: bool) -> None:
    """A key that is yielded twice in a run has one row, and the second outcome is told."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.record([outcome("a", FAILED, "no"), outcome("b")])
        if apart:
            journal.commit()
        journal.record([outcome("a"), outcome("c")])
        journal.commit()
        assert journal.take_changes() == [Change("a", DONE, None)]
        assert journal.take_changes() == []
    recorded = [(row.key, row.status) for row in rows(path)]
    assert recorded == [("a", FAILED), ("b", DONE), ("c", DONE)]


def test_a_key_of_this_run_is_not_taken_for_an_earlier_ones(tmp_path: Path) -> None:
    """A key that comes again is left out and reported, also if earlier runs left outcomes."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.record([outcome("old")])
    with Journal(path) as journal:
        journal.record([outcome("new")])
        journal.commit()
        assert journal.admit([("old", 0), ("new", 0), ("other", 0)]) == [("other", 0)]
        assert journal.skipped == {DONE: 1, FAILED: 0}
        assert journal.take_changes() == [Change("new", None, None)]


def test_a_failed_item_that_is_retried_has_its_row_replaced_once(tmp_path: Path) -> None:
    """The outcome of the retry takes the place of the earlier one, whichever way it ended."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.record([outcome("a", FAILED, "no"), outcome("b", FAILED, "no")])
    with Journal(path, retry_failed=True) as journal:
        assert journal.admit([("a", 0), ("b", 0), ("a", 1)]) == [("a", 0), ("b", 0)]
        assert journal.take_changes() == [Change("a", None, None)]
        journal.record([outcome("a"), outcome("b", FAILED, "again"), outcome("a", FAILED, "no")])
        journal.commit()
        assert journal.take_changes() == [Change("a", FAILED, None)]
    assert [(row.key, row.error) for row in rows(path)] == [("a", None), ("b", "again")]


LARGE = "x" * 20_000
TOO_LARGE = [
    ("result", Outcome("big", DONE, LARGE, None, 1, "w", 0.0, 0.0)),
    ("error", Outcome("big", FAILED, None, f"Traceback\n{LARGE}\nValueError", 1, "w", 0.0, 0.0)),
    ("key", Outcome(LARGE, DONE, "1", None, 1, "w", 0.0, 0.0)),
    ("key", Outcome("ü" * 9_000, DONE, "1", None, 1, "w", 0.0, 0.0)),
]


@pytest.mark.parametrize(
    ("what", "large"), TOO_LARGE, ids=["result", "error", "key", "a key in two bytes a letter"]
)
def test_what_sqlite_cannot_hold_fails_its_item(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, large: Outcome
) -> None:
    """The item has a failed outcome that says so, the others theirs; a rerun leaves it out."""
    monkeypatch.setattr(sqlite3, "connect", _connect_to_little)
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.record([outcome("a"), large, outcome("z")])
        journal.commit()
        (change,) = journal.take_changes()
        assert change.was == large.status
        assert f"its {what} has" in (change.error or "")
    first, odd, last = rows(path)
    assert [first.key, last.key] == ["a", "z"]
    assert (odd.status, odd.result, odd.error) == (FAILED, None, change.error)
    with Journal(path) as journal:
        assert journal.admit([(large.key, 0), ("new", 0)]) == [("new", 0)]
    with Journal(path, retry_failed=True) as journal:
        journal.admit([(large.key, 0)])
        journal.record([large])
    assert len(list(rows(path))) == 3


def _connect_to_little(*args: Any, connect: Any = sqlite3.connect, **options: Any) -> Any:
    database = connect(*args, **options)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)
    return database
