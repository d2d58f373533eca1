"""Standard output and standard error that cannot fail, whatever their reader does.

print(), click, rich, logging and Python's own flush at the end all come down to one raw write. So
a slow, full or closed screen is handled there; characters that its encoding lacks are escaped one
level above.
"""

import errno
import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TextIO

from .files import duplicate

WRITE_TIMEOUT = 60.0
"""Seconds to wait for room where a descriptor does not block, before it counts as unread."""
HURRY_SECONDS = 1.0
"""The same while a run goes on, whether the descriptor blocks or not."""
STDOUT_NUMBER, STDERR_NUMBER = 1, 2
SELECT_NUMBERS = 1024
"""Descriptors below this are select's: FD_SETSIZE."""
PIECE = 512
"""Bytes that fit without blocking wherever select(2) finds room, in a pipe or a terminal."""
NOBODY_READS = {errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ETIMEDOUT}

_screens: dict[str, "Screen"] = {}
_texts: dict[str, "ScreenText"] = {}
_closed: set[str] = set()
_lent: list[int] = []
"""The duplicate of standard output that the log has, if it has one."""


class WaitingWriter(io.RawIOBase):
    """Writes all of its data, and waits for room if its descriptor does not block.

    A terminal's O_NONBLOCK is shared by all programs that have it open, and any of them may set it:
    https://man7.org/linux/man-pages/man2/open.2.html
    """

    def __init__(self, raw: Any) -> None:
        """Write to ``raw``, which knows its descriptor."""
        self.raw, self.seconds = raw, WRITE_TIMEOUT

    def writable(self) -> bool:
        """Return True."""
        return True

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return bool(self.raw.isatty())

    def fileno(self) -> int:
        """Return the descriptor."""
        return int(self.raw.fileno())

    def write(self, data: Any) -> int:
        """Write all of it.

        Raises:
            OSError: It cannot be written; ``TimeoutError`` where there is no room for too long.
        """
        view = memoryview(data).cast("B")
        size = len(view)
        while view:
            written = self.raw.write(view)
            if written is None and not has_room(self.fileno(), self.seconds):
                raise TimeoutError(errno.ETIMEDOUT, "nobody reads it")
            view = view[written or 0 :]
        return size


class Screen(WaitingWriter):
    """Writes for a person: text that cannot be written is dropped, and ``error`` says why."""

    def __init__(self, raw: Any, kept: object) -> None:
        """Write to ``raw``; keep its owner, which would close the descriptor at its end."""
        super().__init__(raw)
        self.kept = kept
        self.error: OSError | None = None
        self.sink: Callable[[bytes], bool] | None = None
        self.number = int(raw.fileno())
        self.hurried = self.stuck = False

    def write(self, data: Any) -> int:
        """Write as much of it as possible; return its full length all the same."""
        if self.sink and self.sink(bytes(data)):
            return len(data)
        view = memoryview(data).cast("B")
        size, most = len(view), PIECE if self.hurried else len(view)
        try:
            while view and not (self.hurried and not self.await_room()):
                written = self.raw.write(view[:most])
                if written is None and not self.await_room():
                    break
                view = view[written or 0 :]
        except OSError as error:
            self.error = self.error or error
        return size

    def fileno(self) -> int:
        """Return the number that the stream has for programs: 1 or 2."""
        return self.number

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return super().isatty() and not self.sink

    def redirect(self, descriptor: int, sink: Callable[[bytes], bool]) -> None:
        """Pass data to ``sink``; data that it does not take go where they went before.

        Data that others write to the same number go to ``descriptor`` from now on.
        """
        self.raw = open(duplicate(self.number), "wb", buffering=0)  # noqa: SIM115 - for good
        os.dup2(descriptor, self.number)
        self.sink = sink

    def await_room(self) -> bool:
        """Wait for room, and return whether there is some; after a timeout do not wait again."""
        self.stuck = not has_room(int(self.raw.fileno()), 0.0 if self.stuck else self.seconds)
        return not self.stuck


class ScreenText(io.TextIOWrapper):
    """The text layer above a screen: what the encoding lacks is escaped."""

    def close(self) -> None:
        """Stay open: a job that closes it, to become a daemon for example, ends no run by that."""
        self.flush()


def has_room(descriptor: int, seconds: float) -> bool:
    """Whether something can be written now or within some seconds; an error to come counts too.

    By select(2), for macOS does not poll terminals; by poll(2) where a number is too high for it.
    """
    ready = True
    if sys.platform != "win32":
        if descriptor >= SELECT_NUMBERS:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            return bool(poll.poll(seconds * 1000))
        with suppress(OSError):  # it is closed
            ready = bool(select.select([], [descriptor], [], seconds)[1])
    return ready


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
    buffer: Any = screen if text.write_through else io.BufferedWriter(screen)
    _texts[name] = ScreenText(
        buffer,
        text.encoding,
        "backslashreplace",
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
        # Without errors= they would be strict again, and print() of a file's odd name would raise.
        _texts[name].reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


@contextmanager
def diverted(descriptor: int | None) -> Iterator[None]:
    """Send all that this process and its programs print meanwhile to a descriptor, if any."""
    kept: dict[int, int] = {}
    for name, screen in _screens.items():
        if descriptor is not None and name not in _closed:
            _texts[name].reconfigure(encoding="utf-8", errors="backslashreplace")
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
