"""Standard output and standard error that cannot fail, whatever their reader does.

``screen`` has the layers that they consist of.
"""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TextIO

from .files import duplicate
from .screen import BACKSLASHES, WRITE_TIMEOUT, Screen, ScreenBuffer, ScreenText, has_room

HURRY_SECONDS = 1.0
"""Seconds to wait for room while a run goes on, whether the descriptor blocks or not."""
STDOUT_NUMBER, STDERR_NUMBER = 1, 2
NOBODY_READS = {errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ETIMEDOUT}

_screens: dict[str, Screen] = {}
_texts: dict[str, ScreenText] = {}
_closed: set[str] = set()
_lent: list[int] = []
"""The duplicate of standard output that the log has, if it has one."""


def protect(seconds: float = WRITE_TIMEOUT) -> None:
    """Make standard output and standard error of this process never fail.

    A stream that was closed is replaced by one into /dev/null.

    Args:
        seconds: How long to wait for room where a descriptor does not block.
    """
    for name in ("stdout", "stderr"):
        text = getattr(sys, name)
        if text is None:
            _closed.add(name)
            text = io.TextIOWrapper(open(os.devnull, "wb", buffering=0), "utf-8")  # noqa: SIM115
        if isinstance(text, io.TextIOWrapper) and not isinstance(text, ScreenText):
            # Not where somebody put something else there, nor in a fork of a protected process.
            setattr(sys, name, _protected(name, text))
    for screen in _screens.values():
        screen.seconds, screen.hurried = seconds, False


def _protected(name: str, text: io.TextIOWrapper) -> TextIO:
    # With PYTHONUNBUFFERED there is no buffer between the two.
    screen = _screens[name] = Screen(getattr(text.buffer, "raw", text.buffer), text)
    buffer: Any = screen if text.write_through else ScreenBuffer(screen)
    _texts[name] = ScreenText(
        buffer,
        text.encoding,
        BACKSLASHES,
        line_buffering=text.line_buffering,
        write_through=text.write_through,
    )
    return _texts[name]


def redirect(descriptor: int, sink: Callable[[str, bytes], bool]) -> None:
    """Pass the prints of this process to ``sink``, with the name of the stream, line by line.

    Args:
        descriptor: Gets the output of C code and programs to descriptors 1 and 2.
        sink: Returns whether it took the data; otherwise they go where they went before.
    """
    for name, screen in _screens.items():
        if name in _closed:  # its number may be something else's
            continue
        _texts[name].flush()
        screen.redirect(descriptor, partial(sink, name))
        _texts[name].reconfigure(encoding="utf-8", line_buffering=True)


@contextmanager
def diverted(descriptor: int | None) -> Iterator[None]:
    """Send all that this process and its programs print meanwhile to a descriptor, if any."""
    kept: dict[int, int] = {}
    for name, screen in _screens.items():
        if descriptor is not None and name not in _closed:
            _texts[name].reconfigure(encoding="utf-8")
            kept[screen.number] = duplicate(screen.number)
            os.dup2(descriptor, screen.number)
    try:
        yield
    finally:
        restore()
        for text in _texts.values():
            text.flush()
        for number, before in kept.items():
            os.dup2(before, number)
            os.close(before)


def hurry() -> None:
    """Wait no longer than ``HURRY_SECONDS`` for a slow reader from now on: a run has begun."""
    for screen in _screens.values():
        screen.seconds, screen.hurried = HURRY_SECONDS, sys.platform != "win32"


def stdout() -> TextIO:
    """Return this process's own standard output, whatever the job puts in its place."""
    return _texts.get("stdout") or sys.stdout


def stderr() -> TextIO:
    """Return this process's own standard error, whatever the job puts in its place."""
    return _texts.get("stderr") or sys.stderr


def restore() -> None:
    """Restore streams that the job replaced by objects that Python cannot flush at the end."""
    for name, text in _texts.items():
        try:
            if stream := getattr(sys, name):
                stream.flush()
        except Exception:  # the owner's object
            setattr(sys, name, text)


def stdout_is_closed() -> bool:
    """Whether there was no standard output when this process began."""
    return "stdout" in _closed or stdout() is None


def stderr_is_ready() -> bool:
    """Whether standard error can be written without waiting."""
    return "stderr" not in _screens or has_room(_screens["stderr"].fileno(), 0.0)


def tell(*lines: str, error: bool = False) -> None:
    """Write lines for a person, to standard output or standard error, as far as possible."""
    text = stderr() if error else stdout()
    with suppress(OSError):
        text.write("".join(f"{line}\n" for line in lines))
        text.flush()


def nobody_reads() -> bool:
    """Whether the reader of standard output has gone, as head does."""
    return bool((screen := _screens.get("stdout")) and screen.error)


def lend_stdout() -> int:
    """Keep standard output for the log; send prints to standard error from now on.

    That holds for processes that are started later, too.

    Returns:
        A descriptor, the same each time.

    Raises:
        OSError: It is closed.
    """
    if not _lent:
        if stdout_is_closed():
            raise OSError(errno.EBADF, "standard output is closed")
        stdout().flush()
        _lent.append(duplicate(STDOUT_NUMBER))
        error = os.open(os.devnull, os.O_WRONLY) if "stderr" in _closed else STDERR_NUMBER
        os.dup2(error, STDOUT_NUMBER)
    return _lent[0]


def take_problem() -> str | None:
    """Return why standard output could not be written, once; None if it was, or its reader left."""
    screen = None if _lent else _screens.get("stdout")
    if not screen or not screen.error:
        return None
    error, screen.error = screen.error, None
    return None if error.errno in NOBODY_READS else error.strerror
