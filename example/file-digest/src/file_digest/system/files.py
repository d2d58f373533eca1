"""Files: resolve paths, check that they can be written, and replace files once complete."""

import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EISDIR, ENAMETOOLONG, ENOTDIR, ENXIO
from pathlib import Path
from typing import TextIO

from .text import visible

if sys.platform != "win32":
    import fcntl

STDOUT = Path("-")
"""Stands for standard output in place of a file; any path from the command line is absolute."""
HIGH, BELOW = 4096, 32
"""Lowest number of a duplicate, or its distance from a lower limit of descriptors."""
NEW = "-new"
"""Ending of a file that is about to take another's place."""
MOST_NAME_BYTES = 255
"""Longest name of a file where the system does not tell its own limit."""

try:
    _began = os.getcwd()
except FileNotFoundError:
    _began = os.sep

_given: dict[str, str] = {}
"""Absolute paths to their text on the command line."""


def meant_by(text: str) -> Path:
    """Return the absolute path of a text, from the current working directory.

    The job may change directory later, even at its import.

    Raises:
        ValueError: It is not a valid path; the message says why.
    """
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise ValueError(f"there is no user {path.split(os.sep)[0]!r}; a file's name begins ./~")
    if not os.path.isabs(path):
        try:
            folder = os.path.join(os.getcwd(), "")
        except FileNotFoundError:
            why = "the working directory does not exist any more: change to another"
            raise ValueError(why) from None
        path = folder + path
        _given[folder] = ""
    absolute = Path(path)
    _given[str(absolute)] = str(Path(text))
    return absolute


def leave_lost_folder() -> None:
    """Return to where this process began if its working directory does not exist any more.

    A process cannot be started from there: multiprocessing passes the directory to the new one. The
    job may have changed to a folder that it removed later.
    """
    try:
        os.getcwd()
    except FileNotFoundError:
        os.chdir(_began if os.path.isdir(_began) else os.sep)


def shown(path: str | Path) -> str:
    """Return a path as a person wrote it, also of a file beside it, safe for a terminal."""
    text = str(path)
    if path == STDOUT:
        return "standard output"
    known = max((prefix for prefix in _given if text.startswith(prefix)), key=len, default="")
    return visible(_given.get(known, "") + text[len(known) :])


def check_writable(path: Path, beside: Iterable[str] = ()) -> None:
    """Make sure that a file can be created or appended to, and its folder made.

    Args:
        path: The file.
        beside: Endings that files beside it add to its name.

    Raises:
        OSError: It cannot be created or written; nothing was touched.
    """
    _check_name(path, max(map(len, beside), default=0))
    if path.is_dir():
        raise IsADirectoryError(EISDIR, "is a folder", str(path))
    if path.is_fifo():  # to open it would wait for a reader, perhaps for ever
        raise OSError(ENXIO, "is a named pipe", str(path))
    target = next(p for p in (path, *path.absolute().parents) if p.exists())
    if target != path and not target.is_dir():
        raise NotADirectoryError(ENOTDIR, "is not a folder", str(target))
    if not os.access(target, os.W_OK):
        raise PermissionError(EACCES, "cannot be written to", str(target))


def _check_name(path: Path, more: int) -> None:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    limit = os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else MOST_NAME_BYTES
    if limit > 0 and (excess := len(os.fsencode(path.name)) + more - limit) > 0:
        why = f"the name is too long by {excess} bytes"
        why += f": files beside it add up to {more}" if more else ""
        raise OSError(ENAMETOOLONG, f"{why}; choose a shorter one", str(path))


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a file that takes the place of ``path`` once it is complete.

    A device, a FIFO or the like is written to directly; of a link, its target is replaced.

    Raises:
        OSError: It cannot be written.
    """
    path, ending = Path(os.path.realpath(path)), f".{os.getpid()}.tmp"
    _check_name(path, len(ending))
    if path.is_dir():
        raise IsADirectoryError(EISDIR, "is a folder", str(path))
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    unfinished = path.with_name(path.name + ending)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
        signal.signal(signal.SIGINT, before)


def replace(path: Path, data: bytes) -> None:
    """Replace a file's content atomically: a reader sees the old or the new.

    Raises:
        OSError: It cannot be written.
    """
    new = path.with_name(path.name + NEW)
    new.write_bytes(data)
    new.replace(path)


def high_duplicate(descriptor: int) -> int:
    """Return a duplicate at a high number, or the descriptor itself if there is no such number.

    Code that closes a range of descriptors seldom reaches it, and since new files get the lowest
    free number, none takes its place soon.
    """
    if sys.platform != "win32":
        with suppress(OSError, ValueError):
            lowest = min(os.sysconf("SC_OPEN_MAX"), HIGH) - BELOW
            return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, lowest)
    return descriptor


def moved_up(descriptor: int) -> int:
    """Return a ``high_duplicate`` in place of a descriptor, which is closed if there is one."""
    if (high := high_duplicate(descriptor)) != descriptor:
        os.close(descriptor)
    return high


def duplicate(descriptor: int) -> int:
    """Return a duplicate, at a high number if there is one.

    Raises:
        OSError: No descriptor is left.
    """
    high = high_duplicate(descriptor)
    return os.dup(descriptor) if high == descriptor else high
