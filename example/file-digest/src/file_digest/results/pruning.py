"""Remove old outcomes: in portions, by a live run itself, or without a run by ``prune``.

Main stays the journal's only writer: for a live run, ``prune`` leaves a request beside the file. If
``prune`` wrote, Ctrl-Z could stop it while it holds SQLite's lock, and fail the run.
"""

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from ..system.files import replacing, shown
from . import schema
from .database import JournalError, JournalInUseError, explained, lock, open_to_read, open_to_write
from .keys import REQUEST, beside, real_file

NEXT = """
SELECT coalesce(max(number), :after), count(*) FROM
    (SELECT rowid AS number FROM outcomes WHERE rowid > :after ORDER BY rowid LIMIT :count)
"""
IS_SETTLED = " AND rowid NOT IN (SELECT number FROM unsettled)"
REMOVE = "DELETE FROM outcomes WHERE rowid > ? AND rowid <= ? AND started + seconds < ?"
REMOVE += IS_SETTLED
REMOVE_EVENTS = "DELETE FROM events WHERE at < ?"
COUNT = "SELECT count(*) FROM outcomes WHERE started + seconds < ?"
FIRST = -1 << 63
FEWEST, MOST = 500, 10_000
"""Rows that a portion looks at."""
PORTION_SECONDS = 0.05
"""Seconds above which the next portion is half as large: rows may have megabytes."""
PAGES = 250
"""Free pages that a portion gives back."""
INCREMENTAL = 2
"""The ``PRAGMA auto_vacuum`` of a file whose free pages can be given back one by one."""
SPARE = 0.1
"""Share of free pages to keep during a run, for new rows."""
PASS_SECONDS = 3_600.0
"""The longest time between two passes of a run's own."""
ANSWER_SECONDS = 10.0
"""Main touches the request with each portion, once or twice a second."""
LOOK_SECONDS = 0.05


class Pruned(NamedTuple):
    """The work of ``prune``: outcomes removed, and the journal's size in bytes."""

    outcomes: int
    size_before: int
    size: int


class Pruner:
    """Removes old outcomes during a run, in passes from the oldest row on, portion by portion."""

    def __init__(self, path: Path, database: sqlite3.Connection, keep: float | None) -> None:
        """Begin nothing yet.

        Args:
            path: The journal, beside which ``prune`` leaves its request.
            database: The same, open.
            keep: Seconds for which an outcome is kept; None is for ever.
        """
        self.request, self.database, self.keep = beside(path, REQUEST), database, keep
        self.asked: float | None = None
        """Time before which outcomes must have ended to be removed, as ``prune`` asks."""
        self.after, self.portion, self.next_pass = FIRST, FEWEST, 0.0

    def go_on(self, least: int) -> int:
        """Look at ``least`` or more of the next rows; return how many were removed."""
        if (asked := self._request()) != self.asked:
            self.asked, self.after = asked, FIRST
        if asked is None and (self.keep is None or time.monotonic() < self.next_pass):
            return 0
        before = time.time() - (self.keep or 0.0) if asked is None else asked
        began = time.monotonic()
        count = max(self.portion, least)
        self.after, more, removed = remove(self.database, before, self.after, count)
        slow = time.monotonic() - began > PORTION_SECONDS
        self.portion = max(self.portion // 2, 1) if slow else min(self.portion * 2, MOST)
        if asked is None:
            more = removed > 0  # they ended in about this order
        if not give_back(self.database, SPARE, PAGES) and not more:
            self._end_pass(before)
        elif asked is not None:
            with suppress(FileNotFoundError):  # it was withdrawn
                os.utime(self.request)
        return removed

    def _request(self) -> float | None:
        with suppress(OSError, ValueError):
            return float(self.request.read_text())
        return None

    def _end_pass(self, before: float) -> None:
        with self.database:
            self.database.execute(REMOVE_EVENTS, (before,))
        if self.asked is not None:
            self.request.unlink(missing_ok=True)
        elif self.keep is not None:
            self.next_pass = time.monotonic() + min(self.keep / 100, PASS_SECONDS)
        self.asked, self.after = None, FIRST


def remove(
    database: sqlite3.Connection, before: float, after: int, count: int
) -> tuple[int, bool, int]:
    """Remove those of the next rows that ended before a time.

    Returns:
        The last row that was looked at, whether there may be more, and how many were removed.
    """
    last, seen = database.execute(NEXT, {"after": after, "count": count}).fetchone()
    with database:
        removed = database.execute(REMOVE, (after, last, before)).rowcount
    return last, seen == count, removed


def give_back(database: sqlite3.Connection, spare: float, most: int) -> bool:
    """Return some free pages to the file system; return False if there are none to return.

    Args:
        database: The journal.
        spare: The share of its pages that may stay free.
        most: Largest number of pages to return.
    """
    pages, free = _pragma(database, "page_count"), _pragma(database, "freelist_count")
    excess = min(free - int(spare * pages), most)
    if excess <= 0 or not _is_incremental(database):
        return False
    # ``execute`` would take one step, which is one page: the statement has rows without columns.
    database.executescript(f"PRAGMA incremental_vacuum({excess})")
    return True


def prune(path: Path, before: float) -> Pruned:
    """Remove outcomes that ended before a time, by ``time.time``; a live run is asked to do it.

    Raises:
        JournalError: There is no journal, it cannot be written, or the run does not answer.
        OSError: The request cannot be written.
    """
    count, path, answered = count_ended(path, before), real_file(path), True
    size, request = path.stat().st_size, beside(path, REQUEST)
    try:
        while not _prune_alone(path, before) and count_ended(path, before):
            if not answered:
                raise JournalError(f"{shown(path)} is in use by a run that does not answer")
            answered = _ask(request, before)
    finally:
        request.unlink(missing_ok=True)
    return Pruned(count, size, path.stat().st_size)


def count_ended(path: Path, before: float) -> int:
    """Count the outcomes that ended before a time, but for those that ``settled`` has yet to see.

    Raises:
        JournalError: There is no journal, or it is damaged.
    """
    with closing(open_to_read(path)) as database, explained(path, "cannot be read"):
        has_unsettled = schema.version_of(database) >= schema.HAS_UNSETTLED
        query = COUNT + IS_SETTLED if has_unsettled else COUNT
        return int(database.execute(query, (before,)).fetchone()[0])


def _prune_alone(path: Path, before: float) -> bool:
    """Prune a journal that no run works on; return False where one does."""
    try:
        held = lock(path)
    except JournalInUseError:
        return False
    with (
        closing(held),
        closing(open_to_write(path)) as database,
        explained(path, "cannot be written"),
    ):
        last, more = FIRST, True
        while more:
            last, more, _ = remove(database, before, last, MOST)
        with database:
            database.execute(REMOVE_EVENTS, (before,))
        if not _is_incremental(database):  # a file of an earlier version is rewritten, once
            database.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
            database.execute("VACUUM")
        while give_back(database, 0.0, MOST):
            pass
    return True


def _is_incremental(database: sqlite3.Connection) -> bool:
    return _pragma(database, "auto_vacuum") == INCREMENTAL


def _pragma(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


def _ask(request: Path, before: float) -> bool:
    """Ask the run to prune; return whether it answered, by the request's end."""
    with replacing(request) as file:
        file.write(repr(before))
    while True:
        time.sleep(LOOK_SECONDS)
        try:
            silent = time.time() - request.stat().st_mtime
        except FileNotFoundError:
            return True
        if silent > ANSWER_SECONDS:
            return False
