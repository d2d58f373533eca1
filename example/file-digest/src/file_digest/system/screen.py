"""The layers of a standard stream that cannot fail.

print(), click, rich, logging and Python's own flush at the end all come down to one raw write. So
a slow, full or closed screen is handled there; characters that its encoding lacks are escaped one
level above.
"""

import errno
import io
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .files import duplicate

WRITE_TIMEOUT = 60.0
"""Seconds to wait for room where a descriptor does not block, before it counts as unread."""
SELECT_NUMBERS = 1024
"""Descriptors below this are select's: FD_SETSIZE."""
PIECE = 512
"""Bytes that fit without blocking wherever select(2) finds room, in a pipe or a terminal."""
BACKSLASHES = "backslashreplace"


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

    def close(self) -> None:
        """Stay open, see ``ScreenBuffer.close``."""


class ScreenBuffer(io.BufferedWriter):
    """The layer between."""

    def close(self) -> None:
        """Stay open: a job that closes it, to become a daemon for example, ends no run by that.

        Nor does one whose own text layer above this one is no longer used.
        """
        self.flush()


class ScreenText(io.TextIOWrapper):
    """The text layer above a screen: what the encoding lacks is escaped."""

    def detach(self) -> Any:
        """Return the layer below, and stay usable: the service writes here, too."""
        self.flush()
        return self.buffer

    def reconfigure(self, *, errors: str | None = None, **options: Any) -> None:
        """Change the options that are given, but never raise for a character."""
        lenient = BACKSLASHES if errors in {None, "strict"} else errors
        super().reconfigure(errors=lenient, **options)


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
