"""The journal's rows as JSON lines or comma-separated values."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from io import StringIO
from json import dumps
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import Any

from ..items.messages import Outcome
from ..system.files import replacing
from ..system.streams import WaitingWriter
from .reading import Columns, columns

JSON_LINE = "{" + ", ".join(f'"{name}": %s' for name in Outcome._fields) + "}\n"
Chunks = Iterator[tuple[Columns, bool]]
"""See ``reading.columns``."""
NOT_IN_A_LINE = re.compile(r"[\t\n\r]|[^\x00-\x7f]")


def write(
    results: Path, form: str, output: Path | None, damaged: Callable[[str, str], None]
) -> None:
    """Write all outcomes to ``output``, or to standard output.

    A file appears when it is complete; until then a file that was there stays as it was. It is
    UTF-8, also on a terminal that is not.

    Args:
        results: The journal.
        form: One of ``FORMS``.
        output: The file; None for standard output.
        damaged: See ``reading.columns``.

    Raises:
        JournalError: There is no journal at ``results``.
        OSError: The output cannot be written.
    """
    texts = FORMS[form](columns(results, damaged))  # opened before anything is written
    if output:
        with replacing(output) as file:
            file.writelines(texts)
        return
    with open(1, "wb", buffering=0, closefd=False) as descriptor:
        writer = WaitingWriter(descriptor)
        for text in texts:
            writer.write(text.encode())


def _json_lines(chunks: Chunks) -> Iterator[str]:
    for some, sound in chunks:
        if sound:
            yield "".join(map(JSON_LINE.__mod__, zip(*_json_columns(*some), strict=True)))
            continue
        for row in zip(*some, strict=True):
            yield JSON_LINE % _json_values_of_damaged(row)


def _json_columns(*columns: tuple[Any, ...]) -> tuple[Iterable[object], ...]:
    """Return outcomes' values as JSON, by column, which takes half the time; numbers are that."""
    key, status, result, error, attempts, worker, started, seconds, peak_memory = columns
    return (
        map(quoted, key),
        map(quoted, status),
        _json_results(result),
        ["null" if text is None else quoted(text) for text in error],
        attempts,
        map(quoted, worker),
        started,
        seconds,
        ["null" if number is None else number for number in peak_memory],
    )


def _json_results(results: tuple[str | None, ...]) -> list[str]:
    """Return results, which are JSON already and stay as they are, each on one line, in ASCII."""
    texts = [text or "null" for text in results]
    together = "".join(texts)
    if together.isascii() and together.isprintable():
        return texts
    return [NOT_IN_A_LINE.sub(_in_a_line, text) for text in texts]


def _json_values_of_damaged(row: tuple[Any, ...]) -> tuple[str, ...]:
    """Return values as JSON of a row in which something may be missing or something else."""
    values = dict(zip(Outcome._fields, row, strict=True))
    result = NOT_IN_A_LINE.sub(_in_a_line, values["result"] or "null")
    return tuple(result if name == "result" else dumps(values[name]) for name in values)


def _in_a_line(match: re.Match[str]) -> str:
    """Return a character of JSON in ASCII; a line break can only stand between two values."""
    return " " if match[0].isspace() and match[0].isascii() else dumps(match[0])[1:-1]


def _csv_lines(chunks: Chunks) -> Iterator[str]:
    # All texts in quotes: a carriage return would otherwise stand bare, and end a row.
    file = StringIO(newline="")
    table = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    table.writerow(Outcome._fields)
    for some, _ in chunks:
        table.writerows(zip(*some, strict=True))
        yield file.getvalue()
        file.seek(0)
        file.truncate()
    yield file.getvalue()


FORMS: dict[str, Callable[[Chunks], Iterator[str]]] = {
    "jsonl": _json_lines,
    "csv": _csv_lines,
}
