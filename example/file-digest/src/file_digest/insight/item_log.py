"""One item's lines of the log, found in all its files."""

import glob
import json
import re
from collections.abc import Iterator
from pathlib import Path

from ..log.formats import CONTINUATION, ITEM, ITEM_FIELD, one_record, shown_key

FIELD = re.compile(r"%\((\w+)\)[-#0 +]*\d*(?:\.\d+)?[a-zA-Z]|%%")
KINDS = {
    "asctime": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}",
    "levelname": r"\S+ *",
    "processName": r"\S+ *",
    "message": r".*",
}
"""Patterns of some fields; the pattern of any other matches as little as possible."""
MARK = CONTINUATION.removeprefix("\n")


class LayoutError(ValueError):
    """The layout does not tell which item a line belongs to."""


def lines_of(key: str, log_file: Path, layout: str) -> Iterator[str]:
    """Return the lines of one item, oldest first; also those of attempts whose worker was killed.

    Args:
        key: The item's.
        log_file: Its rotated files, and the rescue file, are looked through as well.
        layout: The text format that the log was written in; lines of JSON are found in any case.

    Raises:
        LayoutError: It has no ``%(item)s``.
        FileNotFoundError: There is no log.
    """
    if not ITEM_FIELD.search(layout):
        raise LayoutError(f"{layout!r} has no %(item)s, so its lines do not tell their item")
    files = files_of(log_file)
    if not files:
        raise FileNotFoundError(log_file)
    return _matching(key, files, pattern_for(key, layout))


def files_of(log_file: Path) -> list[Path]:
    """Return the files of a log that exist, oldest first."""
    numbered = log_file.parent.glob(f"{glob.escape(log_file.name)}.*")
    rotated = [path for path in numbered if path.name.rpartition(".")[2].isdecimal()]
    rotated.sort(key=lambda path: -int(path.name.rpartition(".")[2]))
    last = log_file, log_file.with_name(f"{log_file.name}.rescue")
    return [path for path in (*rotated, *last) if path.is_file()]


def pattern_for(key: str, layout: str) -> re.Pattern[str]:
    """Return a pattern that matches the records of an item, in a layout."""
    pattern, at = "", 0
    for field in FIELD.finditer(layout):
        pattern += re.escape(layout[at : field.start()])
        pattern += _field_pattern(field, key)
        at = field.end()
    return re.compile(pattern + re.escape(layout[at:]), re.DOTALL)


def _field_pattern(field: re.Match[str], key: str) -> str:
    if field[1] is None:
        return "%"
    if item := ITEM_FIELD.match(field.string, field.start()):
        return f" *{re.escape(one_record(shown_key(item, key).strip()))} *"
    return KINDS.get(field[1], ".*?")


def _matching(key: str, files: list[Path], pattern: re.Pattern[str]) -> Iterator[str]:
    quoted = json.dumps(key)
    for path in files:
        for record in _records(path):
            if record.startswith("{"):
                if quoted in record and _item_in(record) == key:
                    yield record
            elif pattern.fullmatch(record):
                yield record


def _records(path: Path) -> Iterator[str]:
    """Yield the records of a file; one may have several lines."""
    record = ""
    with path.open(encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        for line in file:
            if record and not line.startswith(MARK):
                yield record.removesuffix("\n")
                record = ""
            record += line
    if record:
        yield record.removesuffix("\n")


def _item_in(line: str) -> object:
    try:
        return json.loads(line).get(ITEM)
    except (ValueError, AttributeError, RecursionError):
        return None
