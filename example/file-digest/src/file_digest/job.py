"""YOURS: what this service does. Rewrite ``items`` and ``work``; nothing else needs to change.

As generated it digests files: SHA-256, bytes, lines and words of each.

Optional, found by its name; the README says more:

    def items(inputs, options):                       # of --job-option and the file's table [job]
        yield from find(inputs, options.get("pattern", "*"))

    @contextmanager
    def lifespan(index: int) -> Iterator[Resource]:   # in each worker, around all its items
        with connect() as connection:
            yield connection                          # work(payload, connection) gets it

    RETRY = (ConnectionError, TimeoutError)           # work raised it: worth another attempt

    def settled(outcomes: Sequence[Any]) -> None:     # in main, in a thread, after the commit
        for outcome in outcomes:                      # each at least once: also again after a crash
            acknowledge(outcome.key, outcome.status)  # "done" or "failed"

An outcome also has ``value`` (what ``work`` returned, as ``json`` reads it), ``result`` (its JSON
text), ``error`` (text), ``attempts``, ``worker``, ``started``, ``seconds`` and ``peak_memory``.
"""

import hashlib
import logging
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypedDict

log = logging.getLogger(__name__)

CHUNK = 1 << 18
SPACE = b" \t\n\r\x0b\f"


class Digest(TypedDict):
    """The result of ``work`` for one file."""

    sha256: str
    bytes: int
    lines: int
    words: int


def items(inputs: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Yield a unique, stable key and a payload for each item; runs in main, read lazily.

    One thread, named source, makes this call and reads what it returns. It is not main's first:
    signal.signal raises here, asyncio.run works. A payload is taken as it is when it is yielded.

    Args:
        inputs: Files, folders (walked; symbolic links in them are left out) and ``-`` for names
            on standard input, one a line.

    Raises:
        OSError: An input is missing or cannot be read. If it names a file, or is raised here, and
            before the first item, by the call itself, it is a usage error: nothing is touched yet.
        ValueError: There are no inputs, or one is neither a file nor a folder.
    """
    if not inputs:
        raise ValueError("nothing to digest: give files, folders, or - for names to read")
    for name in inputs:
        _check(name)
    return ((path, path) for name in inputs for path in _files(name))


def work(payload: str) -> Digest:
    """Do one item; runs in a worker. Return what ``json`` can write, or raise.

    A line ends with a newline; a word is what is between white space, see isspace(3).

    Raises:
        OSError: The file vanished or cannot be read, which fails this item and no other.
    """
    digest, size, lines, words, in_word = hashlib.sha256(), 0, 0, 0, False
    with open(payload, "rb", buffering=0, opener=_open_regular) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            lines += chunk.count(b"\n")
            words += len(chunk.split()) - (in_word and chunk[:1] not in SPACE)
            in_word = chunk[-1:] not in SPACE
    log.debug("digested %d bytes", size)
    return {"sha256": digest.hexdigest(), "bytes": size, "lines": lines, "words": words}


def count(inputs: Sequence[str]) -> int | None:
    """Return how many items there will be, for the progress bar; None where nobody can know.

    Runs in main, in a thread of its own, beside ``items``.

    Optional: without it the bar shows no time left.
    """
    if "-" in inputs:
        return None
    return sum(1 for name in inputs for _ in _files(name))


def _check(name: str) -> None:
    if name == "-":
        if not sys.stdin:
            raise ValueError("standard input is closed")
        return
    mode = os.stat(name).st_mode
    if stat.S_ISDIR(mode):
        with os.scandir(name):
            return
    if not stat.S_ISREG(mode):
        raise ValueError(f"{name!r} is neither a file nor a folder")
    with open(name, "rb"):
        return


def _files(name: str) -> Iterator[str]:
    if name == "-":
        # Bytes: a file name need not be text, os.fsdecode keeps every one apart.
        yield from (os.fsdecode(line.rstrip(b"\n")) for line in sys.stdin.buffer if line.strip())
    elif os.path.isdir(name):
        yield from _walk(name)
    else:
        yield name


def _walk(folder: str) -> Iterator[str]:
    """Yield the regular files below a folder, and the folders that cannot be listed."""
    unreadable: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=lambda e: unreadable.append(e.filename)):
        yield from unreadable
        unreadable.clear()
        folders.sort()
        paths = (os.path.join(parent, name) for name in sorted(names))
        yield from (path for path in paths if not _is_link_or_special(path))
    yield from unreadable


def _is_link_or_special(path: str) -> bool:
    try:
        return not stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False  # it just vanished: an item, so that its outcome says so


def _open_regular(path: str, flags: int) -> int:
    # Opening a FIFO would wait for a writer, perhaps for ever: open(2), O_NONBLOCK.
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path!r} is not a regular file")
    return descriptor
