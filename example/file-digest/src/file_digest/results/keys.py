"""Names of the journal's files, and keys as it stores them.

SQLite can hold any text but lone surrogates, which occur in file names that are not UTF-8.
"""

import os
import re
from contextlib import suppress
from errno import ELOOP
from pathlib import Path

from ..items.messages import Outcome

LIVE = "-live"
REQUEST = "-prune"
"""Ending of the file by which ``prune`` asks a run to remove what is old."""

BESIDE = ("-lock", "-new", REQUEST, "-shm", "-wal", LIVE)
"""Endings of the files beside a journal that are its own."""

ESCAPE = r"\ud"
"""The beginning of an escaped surrogate."""
ESCAPED = re.compile(r"\\(\\|ud[89a-f][0-9a-f]{2})")


def storable(text: str) -> str:
    """Return a text with its lone surrogates escaped."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def stored_key(key: str) -> str:
    """Return a key as it is stored.

    If it contains the text of an escape, its backslashes are doubled, so that no two are equal.
    """
    stored = storable(key)
    return stored if ESCAPE not in stored else storable(key.replace("\\", "\\\\"))


def original_key(stored: str) -> str:
    """Return a key as the job has it."""
    if ESCAPE not in stored:
        return stored
    return ESCAPED.sub(lambda one: chr(int(one[1][1:], 16)) if one[1] != "\\" else "\\", stored)


def storable_row(outcome: Outcome) -> Outcome:
    """Return an outcome as it is stored."""
    if outcome.error is None and outcome.key.isascii() and ESCAPE not in outcome.key:
        return outcome  # as most are
    error = None if outcome.error is None else storable(outcome.error)
    return outcome._replace(key=stored_key(outcome.key), error=error)


def real_file(path: Path) -> Path:
    """Return what a link leads to: beside that are the lock and SQLite's own files.

    Raises:
        OSError: It leads in a circle.
    """
    if not path.is_symlink():
        return path
    with suppress(RuntimeError):  # before Python 3.13; from then on a link is what is left
        if not (real := path.resolve()).is_symlink():
            return real
    raise OSError(ELOOP, os.strerror(ELOOP), str(path))


def beside(path: Path, ending: str) -> Path:
    """Return a file beside a journal."""
    return path.with_name(path.name + ending)


def files_of(path: Path) -> set[Path]:
    """Return a journal's file and those beside it, with links resolved."""
    path = path.resolve()
    return {path, *(beside(path, ending) for ending in BESIDE)}
