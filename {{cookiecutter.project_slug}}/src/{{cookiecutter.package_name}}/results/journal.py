"""The journal: outcomes in SQLite, so that what is done stays done."""

import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Self

from ..items.messages import DONE, FAILED, Item, Outcome
from ..items.outcomes import Change, Outcomes
from ..system.files import check_writable, shown
from .keys import beside, real_file
from .reading import JournalError, explained, verify
from .recording import insert, key_in

SCHEMA = """
CREATE TABLE outcomes (
    key TEXT PRIMARY KEY,
    status TEXT,
    result TEXT,
    error TEXT,
    attempts INTEGER,
    worker TEXT,
    started REAL,
    seconds REAL
)
"""
COMMIT_SECONDS = 0.5
COMMIT_ROWS = 5_000
BUSY_SECONDS = 5.0
NAMES_BESIDE = ("-lock", "-new-wal", "-new-shm")


def check(path: Path) -> None:
    """Make sure that ``path`` is a journal, or can become one, without touching it.

    Raises:
        JournalError: It cannot.
    """
    try:
        path = real_file(path)
        check_writable(path, NAMES_BESIDE)
    except OSError as error:
        raise JournalError(f"{shown(error.filename)} {error.strerror}") from None
    if path.exists() and (path.stat().st_size or not path.is_file()):
        verify(path)


class Journal:
    """The journal of a run; main is its only writer."""

    def __init__(self, path: Path, *, retry_failed: bool = False) -> None:
        """Open or create a journal.

        Args:
            path: The SQLite file.
            retry_failed: Whether items that failed earlier count as unfinished.

        Raises:
            JournalError: It is no journal, cannot be written, or another run works on it.
        """
        check(path)
        path = real_file(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"{shown(error.filename)}: {error.strerror}") from None
        self.path, self.final = path, (DONE,) if retry_failed else (DONE, FAILED)
        self.lock = _lock(path)
        try:
            with explained(path, "cannot be opened"):
                self.database = _open_to_write(path)
                self.earlier = _ask(self.database, "SELECT max(rowid) FROM outcomes")[0][0] or 0
        except BaseException:
            self.lock.close()
            raise
        self.pending: list[Outcomes | Sequence[Outcome]] = []
        self.rows = 0
        self.committed = time.monotonic()
        self.skipped = {DONE: 0, FAILED: 0}
        """How many items were left out, by the outcome that they have."""
        self.retried: set[str] = set()
        """Stored keys that have a row of an earlier run, which is to be replaced."""
        self.changes: list[Change] = []

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Commit what is pending, and close."""
        try:
            self.commit()
        finally:
            self.database.close()
            self.lock.close()

    def unfinished(self, pairs: list[Item]) -> list[Item]:
        """Leave out the items that have an outcome, of an earlier run or of this one.

        Raises:
            JournalError: The file is damaged.
        """
        if not self.earlier:
            return pairs  # a key that comes again is found when it is committed
        with explained(self.path, "cannot be read"):
            return [pair for pair in pairs if not self._is_settled(pair[0])]

    def record(self, outcomes: Outcomes | Sequence[Outcome]) -> None:
        """Take outcomes in; they are committed in batches, at the latest ``COMMIT_SECONDS`` later.

        Raises:
            JournalError: They cannot be written, on a full disk for example. They stay pending.
        """
        self.pending.append(outcomes)
        self.rows += len(outcomes)
        due = time.monotonic() - self.committed > COMMIT_SECONDS
        if self.rows >= COMMIT_ROWS or (self.rows and due):
            self.commit()

    def commit(self) -> None:
        """Write what is pending, all or nothing.

        Raises:
            JournalError: It cannot be written.
        """
        if not self.rows:
            return
        if not self.path.exists():
            what = "was removed during the run: its outcomes are lost"
            raise JournalError(f"{shown(self.path)} {what}")
        pending = partial(chain.from_iterable, self.pending)
        with explained(self.path, "cannot be written"):
            self.changes += insert(self.database, pending, self.rows, self.retried)
        self.pending.clear()
        self.rows = 0
        self.committed = time.monotonic()

    def take_changes(self) -> list[Change]:
        """Return what was recorded otherwise than it came, or not at all, since the last call."""
        changes, self.changes = self.changes, []
        return changes

    def _is_settled(self, key: str) -> bool:
        stored = key_in(self.database, key)
        query = "SELECT status, rowid FROM outcomes WHERE key = ?"
        status, number = self.database.execute(query, (stored,)).fetchone() or ("", 0)
        if number > self.earlier:
            self.changes.append(Change(key, None, None))
        elif status in self.final:
            self.skipped[status] += 1
        else:
            if status:
                self.retried.add(stored)
            return False
        return True


def _open_to_write(path: Path) -> sqlite3.Connection:
    if not (path.exists() and path.stat().st_size):
        _create(path)
    database = sqlite3.connect(path, timeout=BUSY_SECONDS)
    _ask(database, "PRAGMA synchronous = NORMAL")
    return database


def _create(path: Path) -> None:
    """Have an empty journal appear all at once, so that a kill leaves none that is half made."""
    new = beside(path, "-new")
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new)) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(SCHEMA)
        database.execute("PRAGMA journal_mode = WAL")
    for ending in ("-wal", "-shm"):  # of a file that somebody removed: SQLite would play them back
        beside(path, ending).unlink(missing_ok=True)
    new.replace(path)


def _ask(database: sqlite3.Connection, query: str) -> list[Any]:
    """Return a query's rows; close the database where it fails."""
    try:
        return database.execute(query).fetchall()
    except sqlite3.Error:
        database.close()
        raise


def _lock(path: Path) -> sqlite3.Connection:
    """Hold the journal for this run alone.

    A lock that SQLite takes on a file of its own: it works on every platform, and the system lets
    go of it when the process ends, however it ends.

    Raises:
        JournalError: Another run holds it.
    """
    lock_file = beside(path, "-lock")
    with explained(lock_file, "cannot be opened"):
        lock = sqlite3.connect(lock_file, timeout=0, isolation_level=None)
        try:
            _ask(lock, "BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise JournalError(f"{shown(path)} is in use by another run") from None
            raise
    return lock
