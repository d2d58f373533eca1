"""The journal's rows as JSON lines or comma-separated values."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from json import dumps
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Any

from ..items.messages import FAILED, Outcome
from ..system.files import replacing
from ..system.screen import WaitingWriter
from .flat import flat_rows
from .reading import rows, rows_twice

CHUNK_ROWS = 500
FLAT = "flat"
"""Comma-separated values with a column for each field of the results."""
JSON_LINE = "{" + ", ".join(f'"{name}": %s' for name in Outcome._fields) + "}\n"
NOT_IN_A_LINE = re.compile(r"[\t\n\r]|[^\x00-\x7f]")


def write(
    results: Path,
    form: str,
    output: Path | None,
    damaged: Callable[[str, str], None],
    *,
    failed: bool = False,
) -> None:
    """Write outcomes to ``output``, or to standard output.

    A file appears when it is complete; until then a file that was there stays as it was. It is
    UTF-8, also on a terminal that is not.

    Args:
        results: The journal.
        form: One of ``FORMS``, or ``FLAT``.
        output: The file; None for standard output.
        damaged: See ``rows``.
        failed: Whether to leave out what is done.

    Raises:
        JournalError: There is no journal at ``results``.
        OSError: The output cannot be written.
    """
    # Opened before anything is written.
    both = form == FLAT
    read: tuple[Iterable[Outcome], ...]
    read = rows_twice(results, damaged) if both else (rows(results, damaged),)
    if failed:
        read = tuple(filter(_has_failed, some) for some in read)
    lines = _flat_lines(*read) if both else FORMS[form](*read)
    if output:
        with replacing(output) as file:
            file.writelines(lines)
        return
    with open(1, "wb", buffering=0, closefd=False) as descriptor:
        writer = WaitingWriter(descriptor)
        while text := "".join(islice(lines, CHUNK_ROWS)):
            writer.write(text.encode())


def _json_lines(outcomes: Iterable[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        try:
            yield JSON_LINE % _json_values(*outcome)
        except TypeError:  # of a damaged row, in which something is missing or is something else
            yield JSON_LINE % _json_values_of_damaged(outcome)


def _json_values(key: str, status: str, result: str | None, *more: Any) -> tuple[str, ...]:
    """Return an outcome's values as JSON; its result is that already, and stays as it is."""
    error, attempts, worker, started, seconds, peak_memory = more
    if result and not (result.isascii() and result.isprintable()):
        result = NOT_IN_A_LINE.sub(_in_a_line, result)
    return (
        quoted(key),
        quoted(status),
        result or "null",
        "null" if error is None else quoted(error),
        int.__repr__(attempts),
        quoted(worker),
        float.__repr__(started),
        float.__repr__(seconds),
        "null" if peak_memory is None else int.__repr__(peak_memory),
    )


def _json_values_of_damaged(outcome: Outcome) -> tuple[str, ...]:
    result = NOT_IN_A_LINE.sub(_in_a_line, outcome.result or "null")
    values: dict[str, Any] = outcome._asdict()
    return tuple(result if name == "result" else dumps(values[name]) for name in values)


def _in_a_line(match: re.Match[str]) -> str:
    """Return a character of JSON in ASCII; a line break can only stand between two values."""
    return " " if match[0].isspace() and match[0].isascii() else dumps(match[0])[1:-1]


class _Line:
    """A file for the csv module that gives back what is written."""

    def write(self, text: str) -> str:
        """Return it."""
        return text


def _csv_lines(outcomes: Iterable[Outcome]) -> Iterator[str]:
    return _csv(chain([Outcome._fields], outcomes))


def _flat_lines(first: Iterable[Outcome], second: Iterable[Outcome]) -> Iterator[str]:
    return _csv(flat_rows(first, second))


def _csv(table: Iterable[Sequence[Any]]) -> Iterator[str]:
    # All texts in quotes: a carriage return would otherwise stand bare, and end a row.
    line: Any = csv.writer(_Line(), lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerow
    return map(line, table)


def _has_failed(outcome: Outcome) -> bool:
    return outcome.status == FAILED


FORMS: dict[str, Callable[[Iterable[Outcome]], Iterator[str]]] = {
    "jsonl": _json_lines,
    "csv": _csv_lines,
}
