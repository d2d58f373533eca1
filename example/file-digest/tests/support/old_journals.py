"""Journals as earlier versions wrote them, with their SQL to the letter."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

VERSION_1 = """
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
ROW = "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
OUTCOMES = [
    ("one", "done", "1", None, 1, "worker-1", 1_800_000_000.0, 0.5),
    ("two", "failed", None, "Traceback\nValueError: no", 1, "worker-2", 1_800_000_001.0, 0.5),
]


def finished(path: Path, table: str = VERSION_1) -> None:
    """Write what a run left that ended in good order."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute(table)
        database.execute("PRAGMA journal_mode = WAL")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA synchronous = NORMAL")
        database.executemany(ROW, OUTCOMES)


def killed(path: Path, table: str = VERSION_1) -> None:
    """Write what a run left that was killed: all rows are in the write-ahead log."""
    original = path.with_name("original.db")
    with closing(sqlite3.connect(original)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(table)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with database:
            database.executemany(ROW, OUTCOMES)
        for ending in ("", "-wal", "-shm"):
            shutil.copy(f"{original}{ending}", f"{path}{ending}")
    original.unlink()
