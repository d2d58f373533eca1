"""Insert outcomes and events into the journal: all at once, or one by one where some are odd."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator

from ..items.events import WorkerEvent, WorkerEvents
from ..items.messages import FAILED, Outcome
from ..items.outcomes import Change
from ..system.errors import error_name
from .keys import storable, storable_row, stored_key

INSERT = "INSERT OR IGNORE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
REPLACE = "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
DROP_EVENTS = "DELETE FROM events WHERE rowid <= (SELECT MAX(rowid) FROM events) - ?"
TOO_LARGE = (sqlite3.DataError, sqlite3.InterfaceError, OverflowError)
"""Errors of sqlite3 for a row or a text above SQLITE_LIMIT_LENGTH, or above 2 GB."""
SHOWN = 1_000
"""Characters to keep at either end of a text that is too large, at most."""
DETAIL_CHARACTERS = 500
"""Characters to keep of an event's detail, which may be the owner's text of any length."""


def insert(
    database: sqlite3.Connection,
    outcomes: Callable[[], Iterable[Outcome]],
    count: int,
    retried: set[str],
    events: WorkerEvents,
) -> list[Change]:
    """Insert outcomes, of which the first of a key stays, and events, in one transaction.

    Args:
        database: The journal.
        outcomes: Returns a new iterator over them at each call.
        count: How many these are.
        retried: Stored keys whose row is one of an earlier run, to be replaced once.
        events: What is pending of them; the oldest that the journal has go, see ``WorkerEvents``.
    """
    try:
        with database:
            _insert_events(database, events)
            if not count:
                return []
            if database.executemany(INSERT, map(storable_row, outcomes())).rowcount < count:
                raise sqlite3.DataError("some keys have a row already")  # undo
    except TOO_LARGE:
        with database:
            _insert_events(database, events)
            return list(_insert_each(database, outcomes(), retried))
    return []


def key_in(database: sqlite3.Connection, key: str) -> str:
    """Return a key as it is stored; one that is too large by its beginning and its digest."""
    stored, most = stored_key(key), _limit(database)
    if len(stored) <= most // 4:
        return stored
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{stored[: min(SHOWN, most // 16)]}… sha256:{digest}"


def _insert_events(database: sqlite3.Connection, events: WorkerEvents) -> None:
    if events.pending:
        rows = (_storable_event(database, event) for event in events.pending)
        database.executemany(INSERT_EVENT, rows)
        database.execute(DROP_EVENTS, (events.kept,))


def _storable_event(database: sqlite3.Connection, event: WorkerEvent) -> WorkerEvent:
    """Return an event as it is stored: of a traceback, with the line that names the error."""
    detail = storable(error_name(event.detail)[:DETAIL_CHARACTERS])
    key = None if event.key is None else key_in(database, event.key)
    return event._replace(detail=detail, key=key)


def _insert_each(
    database: sqlite3.Connection, outcomes: Iterable[Outcome], retried: set[str]
) -> Iterator[Change]:
    for outcome in outcomes:
        row, error = storable_row(outcome), None
        try:
            new = _insert_one(database, row, retried)
        except TOO_LARGE:
            row = _fitting(database, outcome)
            new, error = _insert_one(database, row, retried), row.error
        if error or not new:
            yield Change(row.key, outcome.status, error if new else None)


def _insert_one(database: sqlite3.Connection, row: Outcome, retried: set[str]) -> int:
    """Insert a row, or replace that of an earlier run; return how many were: 0 or 1."""
    count = database.execute(REPLACE if row.key in retried else INSERT, row).rowcount
    retried.discard(row.key)
    return count


def _fitting(database: sqlite3.Connection, outcome: Outcome) -> Outcome:
    """Return the failed outcome of an item that is too large for a row."""
    most = _limit(database)
    sizes = {"key": outcome.key, "result": outcome.result, "error": outcome.error}
    what = max(sizes, key=lambda name: len(sizes[name] or ""))
    reason = f"cannot be recorded: its {what} has {len(sizes[what] or '')} characters, and SQLite "
    reason += f"takes {most} bytes an item"
    if what == "error" and outcome.error:
        some = min(SHOWN, most // 16)
        reason = f"{outcome.error[:some]}\n… {reason} …\n{outcome.error[-some:]}"
    failed = storable_row(outcome._replace(status=FAILED, result=None, error=reason))
    return failed._replace(key=key_in(database, outcome.key))


def _limit(database: sqlite3.Connection) -> int:
    return database.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
