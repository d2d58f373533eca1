"""The journal's rows as JSON lines or comma-separated values."""

import csv
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from errno import EISDIR
from pathlib import Path
from typing import TextIO

from .journal import rows
from .messages import Outcome


def write(results: Path, form: str, output: Path | None) -> None:
    """Write all outcomes to ``output``, or to standard output.

    A file appears when it is complete; until then a file that was there stays as it was.

    Raises:
        JournalError: There is no journal at ``results``.
        OSError: The output cannot be written.
    """
    outcomes = rows(results)  # opened before anything is written
    if output is None:
        WRITERS[form](outcomes, sys.stdout)
        sys.stdout.flush()
    else:
        with replacing(output) as file:
            WRITERS[form](outcomes, file)


def _write_jsonl(outcomes: Iterable[Outcome], file: TextIO) -> None:
    for outcome in outcomes:
        row = outcome._asdict()
        row["result"] = None if outcome.result is None else json.loads(outcome.result)
        file.write(json.dumps(row) + "\n")


def _write_csv(outcomes: Iterable[Outcome], file: TextIO) -> None:
    # All texts in quotes: a carriage return would otherwise stand bare, and end a row.
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(Outcome._fields)
    writer.writerows(outcomes)


WRITERS: dict[str, Callable[[Iterable[Outcome], TextIO], None]] = {
    "jsonl": _write_jsonl,
    "csv": _write_csv,
}


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a file that takes the place of ``path`` once it is complete.

    What is no regular file, such as a device or a FIFO, is written to as it is; of a link, what it
    leads to is replaced.

    Raises:
        OSError: It cannot be written.
    """
    if path.is_dir():
        raise IsADirectoryError(EISDIR, "is a folder", str(path))
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    path = path.resolve()
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
        signal.signal(signal.SIGINT, before)
