"""A journal of an earlier version is read as it is and migrated by a run; no other is touched."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from file_digest.items.events import STARTED, WorkerEvent
from file_digest.items.messages import DONE, Outcome
from file_digest.results import reading, schema
from file_digest.results.database import JournalError, check
from file_digest.results.journal import Journal
from file_digest.results.reading import summarize
from file_digest.system.inheritance import SIGKILL

from .support import old_journals
from .support.disks import can_mount
from .support.service import Service

OLD = [Outcome(*row) for row in old_journals.OUTCOMES]
NEW = Outcome("three", DONE, "3", None, 1, "worker-1", 1_800_000_002.0, 0.5)
EVENT = WorkerEvent(1_800_000_002.0, "worker-1", STARTED, 41)
LEFT = [old_journals.finished, old_journals.killed]
Leave = Callable[[Path], None]


def rows(path: Path) -> list[Outcome]:
    """Return all outcomes in a journal, none of which may be damaged."""
    return list(reading.rows(path, lambda *fault: pytest.fail(f"{fault}")))


def worker_events(path: Path) -> list[WorkerEvent]:
    """Return all events in a journal, none of which may be damaged."""
    return reading.worker_events(path, lambda *fault: pytest.fail(f"{fault}"))


def marks(path: Path) -> tuple[int, int]:
    """Return a file's application_id and user_version."""
    with closing(sqlite3.connect(path)) as database:
        return schema._marks(database)


def assert_read(path: Path) -> None:
    """Make sure that every reader reads what an earlier version left."""
    assert rows(path) == OLD
    assert (summarize(path).done, summarize(path).failed) == (1, 1)
    assert worker_events(path) == []


def assert_goes_on(path: Path) -> None:
    """Make sure that a run goes on with the journal, which is of this version afterwards."""
    with Journal(path) as journal:
        pairs = [(outcome.key, None) for outcome in (*OLD, NEW)]
        assert [key for key, _ in journal.admit(pairs)] == ["three"]
        journal.events.pending.append(EVENT)
        journal.record([NEW])
    assert (rows(path), worker_events(path)) == ([*OLD, NEW], [EVENT])
    assert marks(path) == (schema.APPLICATION_ID, schema.VERSION)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_new_journal_says_what_it_is(tmp_path: Path) -> None:
    """Its two numbers are set, so that file(1) and later versions know it."""
    path = tmp_path / "results.db"
    Journal(path).__exit__()
    assert marks(path) == (schema.APPLICATION_ID, schema.VERSION)
    assert path.read_bytes()[68:72] == b"mpjl"


@pytest.mark.parametrize("leave", LEFT)
def test_readers_leave_an_older_journal_as_it_is(tmp_path: Path, leave: Leave) -> None:
    """They read all of it, without events, and do not migrate it."""
    path = tmp_path / "results.db"
    leave(path)
    assert_read(path)
    check(path)
    assert marks(path) == (0, 0)


@pytest.mark.parametrize("leave", LEFT)
def test_a_run_migrates_an_older_journal(tmp_path: Path, leave: Leave) -> None:
    """Outcomes stay; the next run finds nothing to migrate."""
    path = tmp_path / "results.db"
    leave(path)
    assert_goes_on(path)
    before = path.read_bytes()
    Journal(path).__exit__()
    assert path.read_bytes() == before


@pytest.mark.parametrize("leave", LEFT)
def test_migrated_and_new_journals_are_the_same(tmp_path: Path, leave: Leave) -> None:
    """Table for table, column for column."""
    migrated, new = tmp_path / "migrated.db", tmp_path / "new.db"
    leave(migrated)
    tables = []
    for path in (migrated, new):
        Journal(path).__exit__()
        with closing(sqlite3.connect(path)) as database:
            tables.append(database.execute("SELECT name, sql FROM sqlite_master").fetchall())
    assert tables[0] == tables[1]


def marked(application: int, version: int) -> Leave:
    """Return what leaves a journal with these two numbers."""

    def leave(path: Path) -> None:
        Journal(path).__exit__()
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"PRAGMA application_id = {application}")
            database.execute(f"PRAGMA user_version = {version}")

    return leave


def without_events(path: Path) -> None:
    """Of this version by its numbers, but somebody removed a table."""
    Journal(path).__exit__()
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE events")


REFUSED = {
    "newer version": (
        marked(schema.APPLICATION_ID, schema.VERSION + 1),
        f"newer version of this program: it is a journal of version {schema.VERSION + 1}",
    ),
    "another application": (marked(0x47504B47, 10300), "another application"),
    "another application, negative": (marked(-5, 2), "another application"),
    "a version but no application": (marked(0, 1), "another application"),
    "no version": (marked(schema.APPLICATION_ID, 0), "another application"),
    "negative version": (marked(schema.APPLICATION_ID, -1), "another application"),
    "a table is missing": (without_events, "it has no table 'events' of ours"),
}


@pytest.mark.parametrize(("leave", "message"), REFUSED.values(), ids=list(REFUSED))
@pytest.mark.parametrize("use", [Journal, check, rows, summarize, worker_events])
def test_any_other_file_is_refused_untouched(
    tmp_path: Path, leave: Leave, message: str, use: Callable[[Path], object]
) -> None:
    """One line says why; no byte of it changes and nothing appears beside it."""
    path = tmp_path / "results.db"
    leave(path)
    path.with_name("results.db-lock").unlink(missing_ok=True)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=message) as refused:
        use(path)
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


MIGRATE_AND_DIE = """
import os, signal, sqlite3, sys
from functools import partial
from pathlib import Path
from file_digest.results.journal import Journal

left = int(sys.argv[2])

def die_in_time(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

class Traced(sqlite3.Connection):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.set_trace_callback(die_in_time)

sqlite3.connect = partial(sqlite3.connect, factory=Traced)
Journal(Path(sys.argv[1]))
os._exit(0)
"""


@pytest.mark.faults
@pytest.mark.parametrize("leave", LEFT)
def test_a_migration_that_is_killed_leaves_the_old_or_the_new(tmp_path: Path, leave: Leave) -> None:
    """SIGKILL before each statement in turn: it can be read at once, and a run goes on with it."""
    seen = []
    for statement in range(1, 100):
        path = tmp_path / str(statement) / "results.db"
        path.parent.mkdir()
        leave(path)
        command = [sys.executable, "-c", MIGRATE_AND_DIE, str(path), str(statement)]
        code = subprocess.run(command, check=False).returncode
        assert_read(path)
        seen.append(marks(path))
        assert_goes_on(path)
        if code == 0:
            break
        assert code == -SIGKILL
    assert set(seen) == {(0, 0), (schema.APPLICATION_ID, schema.VERSION)}
    assert seen == sorted(seen)


def test_a_migration_that_is_cut_anywhere_is_whole_or_nothing(tmp_path: Path) -> None:
    """Killed, or without power, in the middle of a write: the log is cut after that many bytes."""
    path = tmp_path / "results.db"
    old_journals.finished(path)
    with closing(sqlite3.connect(path)) as database:
        schema.migrate(database)
        old, log = path.read_bytes(), path.with_name("results.db-wal").read_bytes()
    seen = []
    for length in [*range(0, len(log), 509), len(log)]:
        cut = tmp_path / str(length) / "results.db"
        cut.parent.mkdir()
        cut.write_bytes(old)
        cut.with_name("results.db-wal").write_bytes(log[:length])
        assert_read(cut)
        seen.append(marks(cut))
        assert_goes_on(cut)
    assert seen == [*[(0, 0)] * (len(seen) - 1), (schema.APPLICATION_ID, schema.VERSION)]


if sys.platform != "win32":

    @contextmanager
    def read_only(folder: Path) -> Iterator[None]:
        """Make a folder read-only: by its mode, or for root by a mount."""
        if os.geteuid():
            folder.chmod(0o500)
            yield
            folder.chmod(0o700)
            return
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)

    @pytest.mark.skipif(
        os.geteuid() == 0 and not can_mount(), reason="root needs a mount that it may not make"
    )
    @pytest.mark.parametrize("leave", LEFT)
    def test_an_older_journal_is_read_where_nothing_can_be_written(
        tmp_path: Path, leave: Leave
    ) -> None:
        """An archive on a read-only file system; a run is refused there in one line."""
        path = tmp_path / "archive" / "results.db"
        path.parent.mkdir()
        leave(path)
        for file in path.parent.iterdir():
            file.chmod(0o400)
        with read_only(path.parent):
            assert_read(path)
            with pytest.raises(JournalError, match="cannot be written to"):
                Journal(path)


@pytest.mark.parametrize("leave", LEFT)
def test_the_service_finishes_what_an_earlier_version_began(
    service: Callable[..., Service], leave: Leave
) -> None:
    """status, export and timeline before the run as after it; the run does only what is left."""
    one = service("three")
    leave(one.results)
    results = ("--results", str(one.results))
    assert "1 done, 1 failed" in one.command("status", *results).stdout
    assert len(one.command("export", "--format", "jsonl", *results).stdout.splitlines()) == 2
    drawn = one.command("timeline", *results, "--html", str(one.folder / "before.html"))
    assert (drawn.code, "2 items, 2 workers" in drawn.stdout) == (0, True), drawn.stderr
    assert marks(one.results) == (0, 0)
    ran = one.run("--retry-failed", "--workers", "1")
    assert ran.code == 0, ran.stderr
    assert "2 done, 0 failed" in ran.stdout
    assert "3 done, 0 failed" in one.command("status", *results).stdout
    assert marks(one.results) == (schema.APPLICATION_ID, schema.VERSION)
    assert [event.kind for event in worker_events(one.results)] == [STARTED]


def test_the_service_refuses_a_newer_journal_in_one_line(service: Callable[..., Service]) -> None:
    """Every command does, with exit code 2."""
    one = service("three")
    marked(schema.APPLICATION_ID, schema.VERSION + 1)(one.results)
    shutil.copy(one.results, one.folder / "copy.db")
    results = ("--results", str(one.results))
    for told in (
        one.run(),
        one.command("status", *results),
        one.command("export", "--format", "csv", *results),
        one.command("timeline", *results, "--html", str(one.folder / "x.html")),
    ):
        assert (told.code, told.stderr.count("\n")) == (2, 1), told.stderr
        assert "was written by a newer version of this program" in told.stderr
    assert one.results.read_bytes() == (one.folder / "copy.db").read_bytes()
