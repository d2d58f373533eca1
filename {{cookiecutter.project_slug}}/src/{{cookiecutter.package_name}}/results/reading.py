"""What a journal holds, for those who only read it; also while a run writes to it."""

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite
from pathlib import Path
from typing import Any

from ..items.messages import DONE, FAILED, Outcome
from ..items.outcomes import NEW_OUTCOME
from ..system.errors import error_name
from ..system.files import shown
from .keys import beside, real_file

COLUMNS = list(Outcome._fields)
MOST_PATH = 500
"""Bytes of a path that SQLite opens on Unix with all that it adds; newer ones take more."""
QUERY = f"""
SELECT rowid, {", ".join(COLUMNS)}, json_valid(result) FROM outcomes
WHERE rowid > ? ORDER BY rowid LIMIT 500
"""  # noqa: S608 - the names are our own
NOTHING = type(None)
KINDS: dict[str, set[type]] = {name: {str} for name in COLUMNS}
KINDS |= {"result": {str, NOTHING}, "error": {str, NOTHING}}
KINDS |= {"attempts": {int}, "started": {float}, "seconds": {float}}
"""What runs record in each column."""
TOKEN = re.compile(
    r'("(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")'
    r"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9.])|true|false|null)"
    r"|[ \t\n\r]+"
)
"""A string, another value without parts, or white space: https://www.rfc-editor.org/rfc/rfc8259"""
CONTAINER = re.compile(r"\[(?:[Sv](?:,[Sv])*)?\]|\{(?:S:[Sv](?:,S:[Sv])*)?\}")


class JournalError(Exception):
    """The results file cannot serve as a journal; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a journal holds."""

    done: int
    failed: int
    errors: dict[str, int]
    """Name of an error to how many items failed with it."""


@contextmanager
def explained(path: Path, what: str) -> Iterator[None]:
    """Have what SQLite and the system say told in one line.

    Raises:
        JournalError: They said something.
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


def verify(path: Path) -> str:
    """Return how SQLite can open a journal without making files beside it.

    Raises:
        JournalError: It is none.
    """
    with explained(path, "cannot be read"):
        if not path.exists():
            raise JournalError(f"{shown(path)} does not exist: nothing has been run into it yet")
        if not path.is_file():
            raise JournalError(f"{shown(path)} is not a results file: it is no file at all")
    # A reader of a write-ahead log would make one: https://sqlite.org/wal.html#readonly
    mode = "mode=ro" if beside(path, "-wal").exists() else "mode=ro&immutable=1"
    with explained(path, "is not a results file"), closing(_connect(path, mode)) as database:
        names = [name for _, name, *_ in database.execute("PRAGMA table_info(outcomes)")]
        kinds = database.execute("SELECT type FROM sqlite_master WHERE name = 'outcomes'")
        is_table = kinds.fetchall() == [("table",)]
    if names != COLUMNS or not is_table:
        what = "is not a results file: it has no table 'outcomes' of ours"
        raise JournalError(f"{shown(path)} {what}")
    return mode


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal so that a run may write to it meanwhile; one that cannot be written, too."""
    with explained(path, "cannot be read"):
        path = real_file(path)
    mode = verify(path)
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        mode = "mode=rw"
    with explained(path, "cannot be opened"):
        return _connect(path, mode)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)


def summarize(path: Path) -> Summary:
    """Count what a journal holds; also while a run writes to it.

    Raises:
        JournalError: There is no journal at ``path``.
    """
    with closing(_open_to_read(path)) as database, explained(path, "cannot be read"):
        database.text_factory = partial(str, encoding="utf-8", errors="backslashreplace")
        counts = dict(database.execute("SELECT status, COUNT(*) FROM outcomes GROUP BY status"))
        errors: dict[str, int] = {}
        for (error,) in database.execute("SELECT error FROM outcomes WHERE status = ?", (FAILED,)):
            name = error_name(str(error or ""))
            errors[name] = errors.get(name, 0) + 1
    return Summary(counts.get(DONE, 0), counts.get(FAILED, 0), errors)


def rows(path: Path, damaged: Callable[[str, str], None]) -> Iterator[Outcome]:
    """Open a journal and return its outcomes, in the order in which they were recorded.

    Args:
        path: The journal.
        damaged: Told the key of a row that some other program or a fault of the disk made what no
            run records, and what is wrong; the row comes all the same, as well as it can be read.

    Raises:
        JournalError: There is no journal at ``path``; on the way: the file itself is damaged.
    """
    return _each_outcome(path, _open_to_read(path), damaged)


def _each_outcome(
    path: Path, database: sqlite3.Connection, damaged: Callable[[str, str], None]
) -> Iterator[Outcome]:
    with closing(database), explained(path, "cannot be read"):
        for chunk in _chunks(database):
            columns = list(zip(*chunk, strict=True))
            if _are_as_recorded(columns):
                yield from map(NEW_OUTCOME, zip(*columns[1:-1], strict=True))
                continue
            for _, *values, _ in chunk:
                mended, faults = _mended(values)
                if faults:
                    damaged(mended.key, ", ".join(faults))
                yield mended


def _chunks(database: sqlite3.Connection) -> Iterator[list[tuple[Any, ...]]]:
    """Yield the rows as they are, also those whose text is no UTF-8, which end a query."""
    database.execute("BEGIN")  # so that all queries see the same, whatever a run writes meanwhile
    last = -1 << 63
    while True:
        try:
            chunk = database.execute(QUERY, (last,)).fetchall()
        except sqlite3.OperationalError:
            database.text_factory = bytes
            chunk = database.execute(QUERY, (last,)).fetchall()
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
        and isfinite(sum(values[-1]) + sum(values[-2]))
    )


def _mended(values: list[Any]) -> tuple[Outcome, list[str]]:
    """Make what can be made of a row, and say what is wrong with it."""
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


def is_json(text: str) -> bool:
    """Whether a text is JSON, however deep and however long its numbers are."""
    shape = TOKEN.sub(lambda token: "S" if token[1] else "v" if token[2] else "", text)
    inner = None
    while shape != inner:  # from the innermost list or object to the outermost
        inner, shape = shape, CONTAINER.sub("v", shape)
    return shape in ("v", "S")
