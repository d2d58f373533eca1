"""Read a journal, also while a run writes to it."""

import json
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite
from pathlib import Path
from typing import Any

from ..items.events import WorkerEvent
from ..items.messages import DONE, FAILED, Outcome
from ..items.outcomes import NEW_OUTCOME
from ..system.errors import error_name
from . import schema
from .database import explained, open_to_read

COLUMNS = list(Outcome._fields)
QUERY = "SELECT rowid, {} FROM outcomes WHERE rowid > ? ORDER BY rowid LIMIT 500"
IS_JSON = "result IS NULL OR json_valid(result)"
"""``json_valid(NULL)`` alone is 0 in some versions, which would send failed items the slow way."""
EVENTS = f"SELECT rowid, {', '.join(WorkerEvent._fields)} FROM events ORDER BY rowid"  # noqa: S608
STARTED, SECONDS = COLUMNS.index("started"), COLUMNS.index("seconds")
NOTHING = type(None)
KINDS: dict[str, set[type]] = {name: {str} for name in COLUMNS}
KINDS |= {"result": {str, NOTHING}, "error": {str, NOTHING}}
KINDS |= {"attempts": {int}, "started": {float}, "seconds": {float}}
KINDS |= {"peak_memory": {int, NOTHING}}
"""Types that runs record in each column."""
EVENT_KINDS: dict[str, set[type]] = {
    "at": {float},
    "worker": {str},
    "kind": {str},
    "pid": {int, NOTHING},
    "detail": {str},
    "key": {str, NOTHING},
    "attempt": {int, NOTHING},
    "seconds": {float, NOTHING},
}
"""The same for events."""
READABLE = partial(str, encoding="utf-8", errors="backslashreplace")
"""Returns any bytes as text."""
TOKEN = re.compile(
    r'("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")'
    r"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.])|true|false|null)"
    r"|[ \t\n\r]+"
)
"""A string, another value without parts, or white space: https://www.rfc-editor.org/rfc/rfc8259"""
CONTAINER = re.compile(r"\[(?:[Sv](?:,[Sv])*)?\]|\{(?:S:[Sv](?:,S:[Sv])*)?\}")


@dataclass(frozen=True, slots=True)
class Summary:
    """The contents of a journal in numbers."""

    done: int
    failed: int
    errors: dict[str, int]
    """Name of an error to the number of items that failed with it."""
    unsettled: int = 0
    """Number of outcomes that are committed and not settled."""


def summarize(path: Path) -> Summary:
    """Count what a journal holds; also while a run writes to it.

    Raises:
        JournalError: There is no journal at ``path``.
    """
    with closing(open_to_read(path)) as database, explained(path, "cannot be read"):
        database.text_factory = READABLE
        counts = dict(database.execute("SELECT status, COUNT(*) FROM outcomes GROUP BY status"))
        errors: dict[str, int] = {}
        for (error,) in database.execute("SELECT error FROM outcomes WHERE status = ?", (FAILED,)):
            name = error_name(str(error or ""))
            errors[name] = errors.get(name, 0) + 1
        unsettled = count_unsettled(database)
    return Summary(counts.get(DONE, 0), counts.get(FAILED, 0), errors, unsettled)


def count_unsettled(database: sqlite3.Connection) -> int:
    """Count the outcomes that the job's ``settled`` has yet to take."""
    if schema.version_of(database) < schema.HAS_UNSETTLED:
        return 0
    return int(database.execute("SELECT COUNT(*) FROM unsettled").fetchone()[0])


def rows(
    path: Path, damaged: Callable[[str, str], None], without: Collection[str] = ()
) -> Iterator[Outcome]:
    """Open a journal and return its outcomes, in the order in which they were recorded.

    Args:
        path: The journal.
        damaged: Called with the key of a row that another program or a disk fault has damaged, and
            with what is wrong; the row is yielded all the same, as far as it can be read.
        without: Columns that are not read, and come as None.

    Raises:
        JournalError: There is no journal at ``path``; on the way: the file itself is damaged.
    """
    database = open_to_read(path)
    return _closing(database, _each_outcome(path, database, damaged, without))


def rows_twice(
    path: Path, damaged: Callable[[str, str], None]
) -> tuple[Iterator[Outcome], Iterator[Outcome]]:
    """Return the outcomes twice, from one snapshot, whatever a run writes meanwhile.

    Only the second reports damage; it has to be read after the first.
    """
    database = open_to_read(path)
    first = _each_outcome(path, database, lambda *_: None)
    return first, _closing(database, _each_outcome(path, database, damaged))


def _closing(database: sqlite3.Connection, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    with closing(database):
        yield from outcomes


def _each_outcome(
    path: Path,
    database: sqlite3.Connection,
    damaged: Callable[[str, str], None],
    without: Collection[str] = (),
) -> Iterator[Outcome]:
    with explained(path, "cannot be read"):
        for chunk in _chunks(database, without):
            columns = list(zip(*chunk, strict=True))
            if _are_as_recorded(columns):
                yield from map(NEW_OUTCOME, zip(*columns[1:-1], strict=True))
                continue
            for _, *values, _ in chunk:
                mended, faults = _mended(values)
                if faults:
                    damaged(mended.key, ", ".join(faults))
                yield mended


def _chunks(
    database: sqlite3.Connection, without: Collection[str]
) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows as they are, also those whose text is no UTF-8, which end a query."""
    if not database.in_transaction:  # so that all queries see the same, whatever a run writes
        database.execute("BEGIN")
    last, has = -1 << 63, {*schema.outcome_columns(schema.version_of(database))} - {*without}
    valid = IS_JSON if "result" in has else "1"
    names = [name if name in has else "NULL" for name in COLUMNS]
    query = QUERY.format(", ".join([*names, valid]))
    while True:
        try:
            chunk = database.execute(query, (last,)).fetchall()
        except sqlite3.OperationalError:
            database.text_factory = bytes
            chunk = database.execute(query, (last,)).fetchall()
            database.text_factory = str
        if not chunk:
            return
        last = chunk[-1][0]
        yield chunk


def _are_as_recorded(columns: list[tuple[Any, ...]]) -> bool:
    """Whether rows hold only what runs record; by columns, which takes a tenth of the time."""
    _, *values, result_is_json = columns
    kinds = zip(values, KINDS.values(), strict=True)
    return (
        all({*map(type, column)} <= kind for column, kind in kinds)
        and 0 not in result_is_json
        and isfinite(sum(map(sum, (values[STARTED], values[SECONDS]))))
    )


def _mended(values: list[Any]) -> tuple[Outcome, list[str]]:
    """Repair a row as far as possible; return it and its faults."""
    faults: list[str] = []
    row = dict(zip(COLUMNS, values, strict=True))
    for name, value in row.items():
        if isinstance(value, bytes):
            row[name] = value.decode("utf-8", "backslashreplace")
            if row[name] != value.decode("utf-8", "ignore"):
                faults.append(f"{name} is not UTF-8")
        if type(row[name]) not in KINDS[name] or value in (inf, -inf):
            faults.append(f"{name} is {'empty' if value is None else 'no such value'}")
        if value in (inf, -inf):
            row[name] = None  # which JSON has no word for
    if isinstance(row["result"], str) and not is_json(row["result"]):
        faults.append("result is not JSON")
        row["result"] = json.dumps(row["result"])
    row["key"] = "" if row["key"] is None else str(row["key"])
    return Outcome(**row), faults


def worker_events(path: Path, damaged: Callable[[str, str], None]) -> list[WorkerEvent]:
    """Return the events of all workers, in order; none from a journal of a version without them.

    Args:
        path: The journal.
        damaged: Called for a damaged event, which is left out.

    Raises:
        JournalError: There is no journal at ``path``, or the file itself is damaged.
    """
    with closing(open_to_read(path)) as database, explained(path, "cannot be read"):
        if schema.version_of(database) < schema.HAS_EVENTS:
            return []
        database.text_factory = READABLE
        found = database.execute(EVENTS).fetchall()
    events: list[WorkerEvent] = []
    for number, *values in found:
        pairs = zip(EVENT_KINDS.items(), values, strict=True)
        if odd := [name for (name, kinds), value in pairs if not _is_one_of(kinds, value)]:
            damaged(f"event {number}", f"{', '.join(odd)}: no such value")
        else:
            events.append(WorkerEvent._make(values))
    return events


def _is_one_of(kinds: set[type], value: object) -> bool:
    return type(value) in kinds and value not in (inf, -inf)


def is_json(text: str) -> bool:
    """Whether a text is JSON, however deep and however long its numbers are."""
    shape = TOKEN.sub(lambda token: "S" if token[1] else "v" if token[2] else "", text)
    inner = None
    while shape != inner:  # from the innermost list or object to the outermost
        inner, shape = shape, CONTAINER.sub("v", shape)
    return shape in ("v", "S")
