"""The journal: outcomes in SQLite, so that what is done stays done."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .messages import DONE, FAILED, Outcome, Pair
from .settings import check_writable

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
COLUMNS = list(Outcome._fields)
COMMIT_SECONDS = 0.5
COMMIT_ROWS = 5_000
BUSY_SECONDS = 5.0


class JournalError(Exception):
    """The results file cannot serve as a journal; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a journal holds."""

    done: int
    failed: int
    errors: dict[str, int]
    """Last line of an error's text to how many items failed with it."""


def check(path: Path) -> None:
    """Make sure that ``path`` is a journal, or can become one, without touching it.

    Raises:
        JournalError: It cannot.
    """
    try:
        check_writable(path)
    except OSError as error:
        raise JournalError(f"{error.filename} {error.strerror}") from None
    if path.exists() and path.stat().st_size:
        _open_to_read(path).close()


def _open_to_read(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise JournalError(f"{path} does not exist: nothing has been run into it yet")
    try:
        database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        names = [name for _, name, *_ in database.execute("PRAGMA table_info(outcomes)")]
    except sqlite3.Error as error:
        raise JournalError(f"{path} is not a results file: {error}") from None
    if names != COLUMNS:
        database.close()
        raise JournalError(f"{path} is not a results file: it has no table 'outcomes' of ours")
    return database


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
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"{error.filename}: {error.strerror}") from None
        self.path, self.final = path, (DONE,) if retry_failed else (DONE, FAILED)
        self.lock = _lock(path)
        try:
            self.database = _open_to_write(path)
        except sqlite3.Error as error:
            self.lock.close()
            raise JournalError(f"{path} cannot be opened: {error}") from None
        self.may_have_rows = self._has_rows()
        self.pending: list[Outcome] = []
        self.committed = time.monotonic()
        self.skipped = {DONE: 0, FAILED: 0}
        """How many items were left out, by the outcome that they have."""

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

    def unfinished(self, pairs: list[Pair]) -> list[Pair]:
        """Leave out the items whose outcome earlier runs settled."""
        if not self.may_have_rows:
            return pairs
        return [pair for pair in pairs if not self._is_settled(pair[0])]

    def record(self, outcomes: list[Outcome]) -> None:
        """Take outcomes in; they are committed in batches, at the latest ``COMMIT_SECONDS`` later.

        Raises:
            JournalError: They cannot be written, on a full disk for example. They stay pending.
        """
        self.pending += outcomes
        due = time.monotonic() - self.committed > COMMIT_SECONDS
        if len(self.pending) >= COMMIT_ROWS or (self.pending and due):
            self.commit()

    def commit(self) -> None:
        """Write what is pending, all or nothing.

        Raises:
            JournalError: It cannot be written.
        """
        if not self.pending:
            return
        try:
            with self.database:
                self.database.executemany(
                    "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    map(_storable, self.pending),
                )
        except sqlite3.Error as error:
            raise JournalError(f"{self.path} cannot be written: {error}") from None
        self.pending.clear()
        self.committed = time.monotonic()

    def _has_rows(self) -> bool:
        return self.database.execute("SELECT 1 FROM outcomes LIMIT 1").fetchone() is not None

    def _is_settled(self, key: str) -> bool:
        query = "SELECT status FROM outcomes WHERE key = ?"
        row = self.database.execute(query, (storable(key),)).fetchone()
        if row is None or row[0] not in self.final:
            return False
        self.skipped[row[0]] += 1
        return True


def summarize(path: Path) -> Summary:
    """Count what a journal holds; also while a run writes to it.

    Raises:
        JournalError: There is no journal at ``path``.
    """
    with closing(_open_to_read(path)) as database:
        counts = dict(database.execute("SELECT status, COUNT(*) FROM outcomes GROUP BY status"))
        errors: dict[str, int] = {}
        for (error,) in database.execute("SELECT error FROM outcomes WHERE status = ?", (FAILED,)):
            last = (error or "").rpartition("\n")[2]
            errors[last] = errors.get(last, 0) + 1
    return Summary(counts.get(DONE, 0), counts.get(FAILED, 0), errors)


def rows(path: Path) -> Iterator[Outcome]:
    """Yield all outcomes, in the order in which they were recorded.

    Raises:
        JournalError: There is no journal at ``path``.
    """
    with closing(_open_to_read(path)) as database:
        for row in database.execute("SELECT * FROM outcomes ORDER BY rowid"):
            yield Outcome._make(row)


def storable(text: str) -> str:
    """Return text as SQLite can hold it: a lone surrogate, of a file name for example, escaped."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _storable(outcome: Outcome) -> Outcome:
    error = None if outcome.error is None else storable(outcome.error)
    return outcome._replace(key=storable(outcome.key), error=error)


def _open_to_write(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_SECONDS)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    if not database.execute("PRAGMA table_info(outcomes)").fetchone():
        database.execute(SCHEMA)
    return database


def _lock(path: Path) -> sqlite3.Connection:
    """Hold the journal for this run alone.

    A lock that SQLite takes on a file of its own: it works on every platform, and the system lets
    go of it when the process ends, however it ends.

    Raises:
        JournalError: Another run holds it.
    """
    lock_file = path.with_name(path.name + "-lock")
    try:
        lock = sqlite3.connect(lock_file, timeout=0, isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise JournalError(f"{path} is in use by another run") from None
        raise JournalError(f"{lock_file} cannot be opened: {error}") from None
    return lock
