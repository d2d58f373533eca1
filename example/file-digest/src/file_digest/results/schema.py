"""The journal's tables by version, and the migration of a file of an older version.

A file of SQLite has two numbers for its application to set: what it is, and its version.
https://sqlite.org/pragma.html#pragma_application_id
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from ..items.events import WorkerEvent
from ..items.messages import Outcome
from .keys import beside

APPLICATION_ID = 0x6D706A6C
"""Says that a file is a journal: ``mpjl``."""

OUTCOMES = """
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
EVENTS = """
CREATE TABLE events (
    at REAL,
    worker TEXT,
    kind TEXT,
    pid INTEGER,
    detail TEXT,
    key TEXT,
    attempt INTEGER,
    seconds REAL
)
"""
PEAK_MEMORY = "ALTER TABLE outcomes ADD COLUMN peak_memory INTEGER"
UNSETTLED = "CREATE TABLE unsettled (number INTEGER PRIMARY KEY)"
"""Rows of outcomes that the job's ``settled`` has yet to take; none of an older version's."""
JOB = "CREATE TABLE job (digest TEXT)"
"""Digest of the job's source in the last run; no row before the first run of this version."""
STEPS = (OUTCOMES, EVENTS, PEAK_MEMORY, UNSETTLED, JOB)
"""The additions of each version to the one before. Only ever append: an older file goes through the
steps that it lacks, a new file through all."""
VERSION = len(STEPS)
UNMARKED = 1
"""The version whose files have neither number set."""
HAS_EVENTS = 2
HAS_PEAK_MEMORY = 3
HAS_UNSETTLED = 4
HAS_JOB = 5


def version_of(database: sqlite3.Connection) -> int:
    """Return a journal's version; 0 for a file of another application."""
    application, version = _marks(database)
    if (application, version) == (0, 0):
        return UNMARKED
    return version if application == APPLICATION_ID else 0


def refusal(database: sqlite3.Connection) -> str:
    """Return why a file cannot serve as a journal, or nothing."""
    version = version_of(database)
    if version > VERSION:
        return (
            f"was written by a newer version of this program: it is a journal of version {version},"
            f" and this program knows up to {VERSION}"
        )
    if version < 1:
        application, number = _marks(database)
        marks = f"application_id {application}, user_version {number}"
        return f"is not a results file: it belongs to another application ({marks})"
    tables = {"outcomes": outcome_columns(version)}
    tables |= {"events": WorkerEvent._fields} if version >= HAS_EVENTS else {}
    tables |= {"unsettled": ("number",)} if version >= HAS_UNSETTLED else {}
    tables |= {"job": ("digest",)} if version >= HAS_JOB else {}
    for table, columns in tables.items():
        if not _has(database, table, columns):
            return f"is not a results file: it has no table '{table}' of ours"
    return ""


def outcome_columns(version: int) -> tuple[str, ...]:
    """Return the columns that the table of outcomes has in a version."""
    added = () if version >= HAS_PEAK_MEMORY else ("peak_memory",)
    return tuple(name for name in Outcome._fields if name not in added)


def create(path: Path) -> None:
    """Create an empty journal atomically, so that a kill leaves no half-made one."""
    new = beside(path, "-new")
    new.unlink(missing_ok=True)
    with closing(sqlite3.connect(new)) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before the first table, for pruning
        _advance(database, 0)
        database.execute("PRAGMA journal_mode = WAL")
    for ending in ("-wal", "-shm"):  # of a file that somebody removed: SQLite would play them back
        beside(path, ending).unlink(missing_ok=True)
    new.replace(path)


def migrate(database: sqlite3.Connection) -> None:
    """Bring a journal to this version in one transaction; a kill leaves the old one or the new."""
    if (version := version_of(database)) < VERSION:
        with database:
            database.execute("BEGIN IMMEDIATE")
            _advance(database, version)


def _advance(database: sqlite3.Connection, version: int) -> None:
    for step in STEPS[version:]:
        database.execute(step)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {VERSION}")


def _marks(database: sqlite3.Connection) -> tuple[int, int]:
    application = database.execute("PRAGMA application_id").fetchone()[0]
    return application, database.execute("PRAGMA user_version").fetchone()[0]


def _has(database: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> bool:
    names = [name for _, name, *_ in database.execute(f"PRAGMA table_info({table})")]
    kinds = database.execute("SELECT type FROM sqlite_master WHERE name = ?", (table,))
    return names == list(columns) and kinds.fetchall() == [("table",)]
