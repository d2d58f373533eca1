"""The file of a journal: check it before anything is touched, lock it for one run, open it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ..system.files import check_writable, shown
from . import schema
from .keys import beside, real_file

BUSY_SECONDS = 5.0
LOCK_SECONDS = 0.2
"""Seconds that a run waits for its lock: ``is_locked`` may hold it for an instant."""
NAMES_BESIDE = ("-lock", "-new-wal", "-new-shm")
MOST_PATH = 500
"""Bytes of a path that SQLite opens on Unix with all that it adds; newer ones take more."""


class JournalError(Exception):
    """The results file cannot serve as a journal; the message is one line that says why."""


class JournalInUseError(JournalError):
    """Another process holds the journal."""


@contextmanager
def explained(path: Path, what: str) -> Iterator[None]:
    """Turn errors of SQLite and the system into a JournalError of one line.

    Raises:
        JournalError: There was such an error.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        hint = (
            f"; SQLite may take no path above {MOST_PATH} bytes"
            if len(str(path)) > MOST_PATH
            else ""
        )
        raise JournalError(f"{shown(path)} {what}: {error}{hint}") from None


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
        _verify(path)


def _verify(path: Path) -> str:
    """Return how SQLite can open a journal without making files beside it.

    Raises:
        JournalError: It is no journal.
    """
    with explained(path, "cannot be read"):
        if not path.exists():
            raise JournalError(f"{shown(path)} does not exist: nothing has been run into it yet")
        if not path.is_file():
            raise JournalError(f"{shown(path)} is not a results file: it is not a regular file")
    # A reader of a write-ahead log would make one: https://sqlite.org/wal.html#readonly
    mode = "mode=ro" if beside(path, "-wal").exists() else "mode=ro&immutable=1"
    with explained(path, "is not a results file"), closing(_connect(path, mode)) as database:
        _accept(path, database)
    return mode


def _accept(path: Path, database: sqlite3.Connection) -> None:
    if problem := schema.refusal(database):
        raise JournalError(f"{shown(path)} {problem}")


def open_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal so that a run may write to it meanwhile; one that cannot be written, too.

    Raises:
        JournalError: There is no journal at ``path``.
    """
    with explained(path, "cannot be read"):
        path = real_file(path)
    mode = _verify(path)
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        mode = "mode=rw"
    with explained(path, "cannot be opened"):
        return _connect(path, mode)


def _connect(path: Path, mode: str, timeout: float = BUSY_SECONDS) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", timeout=timeout, uri=True)


def open_to_write(path: Path) -> sqlite3.Connection:
    """Open a journal that is locked; make one where there is none, migrate an older one.

    Raises:
        JournalError: It became something else since ``check`` looked at it.
    """
    with explained(path, "cannot be opened"):
        if not (path.exists() and path.stat().st_size):
            schema.create(path)
        database = sqlite3.connect(path, timeout=BUSY_SECONDS)
        try:
            database.execute("PRAGMA synchronous = NORMAL")
            _accept(path, database)
            schema.migrate(database)
        except BaseException:
            database.close()
            raise
    return database


def lock(path: Path) -> sqlite3.Connection:
    """Hold the journal for this run alone.

    A lock that SQLite takes on a file of its own: it works on every platform, and the system lets
    go of it when the process ends, however it ends.

    Raises:
        JournalInUseError: Another run holds it, or ``prune`` does.
        JournalError: It cannot be held.
    """
    lock_file = beside(path, "-lock")
    with explained(lock_file, "cannot be opened"):
        held = sqlite3.connect(lock_file, timeout=LOCK_SECONDS, isolation_level=None)
        try:
            ask(held, "BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                what = f"{shown(path)} is in use by another run, or by prune"
                raise JournalInUseError(what) from None
            raise
    return held


def is_locked(path: Path) -> bool:
    """Whether a run holds a journal.

    Raises:
        JournalError: That cannot be found out.
    """
    lock_file = beside(path, "-lock")
    if not lock_file.exists():
        return False
    with explained(lock_file, "cannot be read"), closing(_connect(lock_file, "mode=ro", 0)) as seen:
        try:
            seen.execute("SELECT 1 FROM sqlite_master")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            return True
    return False


def ask(database: sqlite3.Connection, query: str) -> list[Any]:
    """Return a query's rows; close the database where it fails."""
    try:
        return database.execute(query).fetchall()
    except sqlite3.Error:
        database.close()
        raise
