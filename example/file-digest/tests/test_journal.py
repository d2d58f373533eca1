"""The journal keeps what is done, belongs to one run at a time, and touches no foreign file."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from file_digest.items.events import (
    DIED,
    KILLED,
    STARTED,
    WorkerEvent,
    WorkerEvents,
)
from file_digest.items.messages import DONE, FAILED, Outcome
from file_digest.results import journal as journal_module
from file_digest.results import reading
from file_digest.results.database import JournalError, check
from file_digest.results.journal import Journal
from file_digest.results.keys import storable, stored_key
from file_digest.results.reading import COLUMNS, summarize


def outcome(key: str, status: str = DONE, error: str | None = None) -> Outcome:
    """Return an outcome with a result or an error."""
    result = '{"n": 1}' if status == DONE else None
    return Outcome(key, status, result, error, 1, "worker-1", 1.5, 0.25)


def rows(path: Path) -> list[Outcome]:
    """Return all outcomes in a journal, none of which may be damaged."""
    return list(reading.rows(path, lambda *fault: pytest.fail(f"{fault}")))


def worker_events(path: Path) -> list[WorkerEvent]:
    """Return all events in a journal, none of which may be damaged."""
    return reading.worker_events(path, lambda *fault: pytest.fail(f"{fault}"))


def keys(path: Path) -> list[str]:
    """Return all keys in a journal."""
    return [row.key for row in rows(path)]


def test_outcomes_come_back_as_they_were_recorded(tmp_path: Path) -> None:
    """Recorded outcomes are read back, whole and in order."""
    path = tmp_path / "deep" / "results.db"
    recorded = [outcome("b"), outcome("a", FAILED, "Traceback\nValueError: no"), outcome("ü 🎉")]
    with Journal(path) as journal:
        journal.record(recorded)
    assert rows(path) == recorded


@pytest.mark.parametrize(
    ("retry_failed", "unfinished"), [(False, ["new"]), (True, ["failed", "new"])]
)
def test_settled_items_are_left_out(
    tmp_path: Path, retry_failed: bool, unfinished: list[str]
) -> None:
    """A later run leaves out what is done, and what failed unless it is to be tried again."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.record([outcome("done"), outcome("failed", FAILED, "no")])
    with Journal(path, retry_failed=retry_failed) as journal:
        pairs = journal.admit([("done", 1), ("failed", 2), ("new", 3)])
        assert [key for key, _ in pairs] == unfinished
        assert journal.skipped == {DONE: 1, FAILED: 0 if retry_failed else 1}


@given(key=st.text(st.characters()), error=st.text(st.characters()))
@settings(max_examples=50, deadline=None)
def test_any_text_can_be_a_key_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, key: str, error: str
) -> None:
    """Lone surrogates, NUL, quotes: the item is found again."""
    path = tmp_path_factory.mktemp("journal") / "results.db"
    with Journal(path) as journal:
        journal.record([outcome(key, FAILED, error)])
    with Journal(path) as journal:
        assert journal.admit([(key, 0)]) == []
    assert [(row.key, row.error) for row in rows(path)] == [(stored_key(key), storable(error))]


NAMES = st.text(st.sampled_from("\\ud0\udcff\udcfeé"))


@given(NAMES, NAMES)
@settings(max_examples=300)
@example("\udcff", "\\udcff")
def test_no_two_keys_are_the_same(one: str, other: str) -> None:
    """A name of odd bytes is not mixed up with one that spells their escapes."""
    assert (stored_key(one) == stored_key(other)) == (one == other)


def test_the_errors_are_counted_by_their_names(tmp_path: Path) -> None:
    """The summary groups failures by what was raised."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.record([outcome(f"{n}", FAILED, f"ValueError: no\nline {n}") for n in range(3)])
        journal.record([outcome("a"), outcome("b", FAILED, "worker died: SIGKILL")])
    summary = summarize(path)
    assert (summary.done, summary.failed) == (1, 4)
    assert summary.errors == {"ValueError: no": 3, "worker died: SIGKILL": 1}


def test_outcomes_are_committed_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader sees what was recorded half a second ago, while the run goes on."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.record([outcome("a")])
        assert keys(path) == []
        monkeypatch.setattr(journal_module, "COMMIT_SECONDS", 0.0)
        journal.record([])
        assert keys(path) == ["a"]


EVENTS = [
    WorkerEvent(1.0, "worker-1", STARTED, 41),
    WorkerEvent(2.5, "worker-1", KILLED, None, "timed out", "a", 1, 1.5),
    WorkerEvent(2.5, "worker-1", DIED, 41, "timed out"),
]


def test_events_are_committed_with_outcomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They cause no commit of their own, are kept at the end, and come back in their order."""
    path = tmp_path / "results.db"
    monkeypatch.setattr(journal_module, "COMMIT_SECONDS", 0.0)
    with Journal(path) as journal:
        journal.events.pending.extend(EVENTS[:1])
        journal.record([])
        assert worker_events(path) == []
        journal.record([outcome("a")])
        assert worker_events(path) == EVENTS[:1]
        journal.events.pending.extend(EVENTS[1:])
    assert worker_events(path) == EVENTS
    assert keys(path) == ["a"]


def test_events_are_committed_once_beside_outcomes_that_come_twice(tmp_path: Path) -> None:
    """A batch that is rolled back, to be inserted one by one, takes its events with it."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.events.pending.extend(EVENTS)
        journal.record([outcome("a"), outcome("a", FAILED, "no")])
    assert worker_events(path) == EVENTS
    assert rows(path) == [outcome("a")]


@pytest.mark.parametrize(
    ("detail", "key", "stored"),
    [
        ("Traceback\n  line\nError: no", "a", ("Error: no", "a")),
        ("Error: no\nfurther lines", "a", ("Error: no", "a")),
        ("x" * 10_000, "a", ("x" * 500, "a")),
        ("odd \udcff", "odd \udcff", ("odd \\udcff", stored_key("odd \udcff"))),
        ("NUL \0", "NUL \0 and 🎉", ("NUL \0", "NUL \0 and 🎉")),
        ("", None, ("", None)),
    ],
)
def test_an_event_holds_one_short_line_and_the_key_of_its_item(
    tmp_path: Path, detail: str, key: str | None, stored: tuple[str, str | None]
) -> None:
    """Whatever the owner's exceptions and items are called."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.events.pending.append(EVENTS[1]._replace(detail=detail, key=key))
    assert [(event.detail, event.key) for event in worker_events(path)] == [stored]


@pytest.mark.parametrize("at_once", [1, 7, 1_000])
def test_only_the_last_events_are_kept(tmp_path: Path, at_once: int) -> None:
    """A service whose workers come and go for years does not fill the disk, nor its memory."""
    path = tmp_path / "results.db"
    for _ in range(2):  # an earlier run's count as well
        with Journal(path) as journal:
            journal.events = WorkerEvents(50)
            for begin in range(0, 500, at_once):
                last = range(begin, begin + at_once)
                journal.events.pending.extend(WorkerEvent(n, f"worker-{n}", STARTED) for n in last)
                assert len(journal.events.pending) <= 50
                journal.commit()
    assert [event.at for event in worker_events(path)] == list(range(last.stop - 50, last.stop))


ODD_EVENTS = {
    "no time": ("at", None),
    "a time that is text": ("at", "yesterday"),
    "an endless time": ("at", float("inf")),
    "no worker": ("worker", None),
    "bytes": ("key", b"\xff"),
    "a word for a number": ("attempt", "first"),
}


@pytest.mark.parametrize(("column", "value"), ODD_EVENTS.values(), ids=list(ODD_EVENTS))
def test_a_damaged_event_is_told_and_left_out(tmp_path: Path, column: str, value: object) -> None:
    """The others are read."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.events.pending.extend(EVENTS)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE events SET {column} = ? WHERE rowid = 2", (value,))
    told: list[str] = []
    events = reading.worker_events(path, lambda which, what: told.append(f"{which}: {what}"))
    assert events == [EVENTS[0], EVENTS[2]]
    assert told == [f"event 2: {column}: no such value"]


def test_reading_leaves_nothing_behind(tmp_path: Path) -> None:
    """No write-ahead log appears beside a journal that no run has open."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.record([outcome("a")])
    before = sorted(tmp_path.iterdir())
    assert summarize(path).done == 1
    assert keys(path) == ["a"]
    assert sorted(tmp_path.iterdir()) == before


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    """While one run has the journal no other gets it; afterwards it does."""
    path = tmp_path / "results.db"
    with Journal(path):
        with pytest.raises(JournalError, match="is in use by another run"):
            Journal(path)
        assert summarize(path).done == 0
    Journal(path).__exit__()


def empty_file(path: Path) -> None:
    """Nothing in it."""
    path.touch()


def left_by_a_kill(path: Path) -> None:
    """A journal whose run was killed: the last outcome is in the write-ahead log."""
    script = (
        "import os, sys; from pathlib import Path\n"
        "from file_digest.results.journal import Journal\n"
        "from file_digest.items.messages import Outcome\n"
        "journal = Journal(Path(sys.argv[1]))\n"
        "journal.record([Outcome('old', 'done', '1', None, 1, 'w', 0.0, 0.0)])\n"
        "journal.commit()\n"
        "os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, path], check=False).returncode == 9
    assert path.with_name(path.name + "-wal").stat().st_size


def killed_while_it_was_made(path: Path) -> None:
    """Leave the files of a run that was killed while it made the journal."""
    path.with_name(path.name + "-new").write_bytes(b"half a database")


def remains_of_a_removed_one(path: Path) -> None:
    """Somebody removed results.db but not its write-ahead log."""
    left_by_a_kill(path)
    path.unlink()


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (empty_file, ["new"]),
        (left_by_a_kill, ["old", "new"]),
        (killed_while_it_was_made, ["new"]),
        (remains_of_a_removed_one, ["new"]),
    ],
)
def test_a_run_goes_on_from(
    tmp_path: Path, before: Callable[[Path], None], expected: list[str]
) -> None:
    """Left files are used or replaced; they never hinder a run."""
    path = tmp_path / "results.db"
    before(path)
    with Journal(path) as journal:
        journal.record([outcome("new")])
    assert keys(path) == expected
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["results.db", "results.db-lock"]


def not_sqlite(path: Path) -> None:
    """Some text."""
    path.write_text("name,amount\n" * 1_000)


def another_table(path: Path) -> None:
    """A database of somebody else."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE customers(name TEXT)")


def another_schema(path: Path) -> None:
    """A table of our name that is not ours."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE outcomes(key TEXT, winner TEXT)")


def cut_short(path: Path) -> None:
    """A journal whose end is missing."""
    with Journal(path) as journal:
        journal.record([outcome("a" * 10_000)])
    path.write_bytes(path.read_bytes()[:1_000])


@pytest.mark.parametrize("content", [not_sqlite, another_table, another_schema, cut_short])
def test_a_file_that_is_no_journal_is_refused_untouched(
    tmp_path: Path, content: Callable[[Path], None]
) -> None:
    """One line says what is wrong, and every byte stays."""
    path = tmp_path / "results.db"
    content(path)
    before = path.read_bytes()
    for attempt in (check, Journal, summarize, rows):
        with pytest.raises(JournalError, match=r"is not a results file|cannot be read") as caught:
            attempt(path)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_damaged_journal_is_told_in_one_line(tmp_path: Path) -> None:
    """Pages full of nonsense are a JournalError, not a traceback of SQLite's."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.record([outcome(f"key {number}") for number in range(500)])
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"\xaa" * (len(content) - 8192))
    with pytest.raises(JournalError, match="malformed"):
        summarize(path)
    with pytest.raises(JournalError, match="malformed"), Journal(path) as journal:
        journal.admit([(f"key {number}", number) for number in range(500)])


def test_a_link_leads_to_the_journal(tmp_path: Path) -> None:
    """The target of a link is created and locked, by whichever name; the link stays."""
    (tmp_path / "data").mkdir()
    link, path = tmp_path / "results.db", tmp_path / "data" / "real.db"
    link.symlink_to(path)
    with Journal(link) as journal:
        journal.record([outcome("a")])
        with pytest.raises(JournalError, match="in use by another run"):
            Journal(path)
    assert link.is_symlink()
    assert keys(path) == keys(link) == ["a"]


def a_view(path: Path) -> None:
    """The right columns, but nothing can be written to them."""
    columns = ", ".join(f"1 AS {name}" for name in COLUMNS)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE VIEW outcomes AS SELECT {columns}")


def a_link_to_itself(path: Path) -> None:
    """It leads nowhere."""
    path.symlink_to(path)


def a_device(path: Path) -> None:
    """It must not be replaced by a file, as root could do."""
    path.symlink_to(os.devnull)


@pytest.mark.parametrize("what", [a_view, a_link_to_itself, a_device])
def test_what_cannot_be_a_journal_is_refused(tmp_path: Path, what: Callable[[Path], None]) -> None:
    """One line says so, and it stays what it is."""
    path = tmp_path / "results.db"
    what(path)
    before = path.lstat().st_mtime_ns
    with pytest.raises(JournalError):
        Journal(path)
    assert (path.lstat().st_mtime_ns, os.path.exists(os.devnull)) == (before, True)


def test_a_journal_that_is_removed_during_the_run_is_missed(tmp_path: Path) -> None:
    """Outcomes that went nowhere are not reported as kept."""
    path = tmp_path / "results.db"
    journal = Journal(path)
    path.unlink()
    journal.record([outcome("a")])
    with pytest.raises(JournalError, match="was removed during the run"):
        journal.commit()
    journal.pending.clear()
    journal.rows = 0
    journal.__exit__()


def test_a_journal_that_is_not_there_is_told_so(tmp_path: Path) -> None:
    """Reading makes no file."""
    with pytest.raises(JournalError, match="does not exist"):
        summarize(tmp_path / "results.db")
    assert list(tmp_path.iterdir()) == []


def test_the_columns_are_the_fields_of_an_outcome(tmp_path: Path) -> None:
    """The table is what its readers were promised."""
    path = tmp_path / "results.db"
    Journal(path).__exit__()
    with closing(sqlite3.connect(path)) as database:
        described = database.execute("PRAGMA table_info(outcomes)").fetchall()
    assert [name for _, name, *_ in described] == COLUMNS
    assert [column[1] for column in described if column[5]] == ["key"]


@pytest.mark.parametrize("old", [False, True], ids=["a fresh journal", "an old one"])
@pytest.mark.parametrize("polls", [False, True])
def test_a_key_is_admitted_once(tmp_path: Path, *, old: bool, polls: bool) -> None:
    """Whether it comes twice in one look, is under way, has an outcome, or waits for a commit."""
    path = tmp_path / "results.db"
    if old:
        with Journal(path) as journal:
            journal.record([outcome("before")])
    with Journal(path, polls=polls) as journal:
        assert journal.admit([("a", 1), ("b", 1), ("a", 2)]) == [("a", 1), ("b", 1)]
        assert journal.admit([("a", 3), ("c", 1)]) == [("c", 1)]
        journal.record([outcome("a")])
        assert journal.admit([("a", 4)]) == []
        journal.commit()
        assert journal.admit([("a", 5), ("b", 2), ("d", 1)]) == [("d", 1)]
        told = [change.key for change in journal.take_changes()]
        assert told == ([] if polls else ["a", "a", "a", "a", "b"])


def test_no_key_is_missed_among_very_many(tmp_path: Path) -> None:
    """However many came before: of each the second is left out, of the new ones none."""
    pairs = [(f"key {number}", number) for number in range(200_000)]
    with Journal(tmp_path / "results.db") as journal:
        assert journal.admit(pairs) == pairs
        journal.record([outcome(key) for key, _ in pairs[:150_000]])
        journal.commit()
        assert journal.admit(pairs) == []
        assert len(journal.take_changes()) == len(pairs)
        fresh = [(f"other {number}", number) for number in range(200_000)]
        assert journal.admit(fresh) == fresh
