"""Standard output in place of the log file: it cannot be rotated, reopened or read again."""

import errno
import os
import sys
from ctypes import Array, c_longlong
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import RawArray
from pathlib import Path

from ..system import streams
from ..system.errors import RefusedError
from ..system.screen import has_room
from .formats import CONTINUATION
from .logfile import wait_for_space, warn_once
from .wire import ATOMIC

HAS_STDOUT_LOG = sys.platform != "win32"
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Errors that may go away, where standard output is a file; any other means its reader is gone."""
ROOM_SECONDS = 1.0
SENT, LOST = range(2)
WRAP = 1 << 40
"""``size`` starts again from 0 here: ``RecoveryBuffer`` keeps no larger number."""


class LogStream:
    """Standard output as the listener's log, handed to each listener in turn; like a ``LogFile``.

    Each write is of whole lines, as many as a pipe takes all at once or not at all; a longer line
    takes several. How much is out is noted after each write, in memory that outlives the listener.
    One that is killed between the two has the next one write those lines again.
    """

    max_bytes = 0

    def __init__(self, descriptor: int, path: Path) -> None:
        """Take over a descriptor; files that come beside a log are named after ``path``."""
        self.path, self.writer = path, Connection(descriptor, readable=False)
        self.counts: Array[c_longlong] = RawArray(c_longlong, 2)

    def opened(self) -> "LogStream":
        """Return itself: the listener has nothing to open."""
        return self

    @property
    def descriptor(self) -> int:
        """The descriptor to write to."""
        return self.writer.fileno()

    @property
    def size(self) -> int:
        """Count the bytes that are out by now."""
        return self.counts[SENT] % WRAP

    @property
    def lost(self) -> int:
        """The number of records that no reader took."""
        return self.counts[LOST]

    def has_room_for(self, _count: int) -> bool:
        """Return True: a stream has no limit."""
        return True

    def holds(self, text: bytes, offset: int) -> int:
        """Return how much of ``text``, which begins at ``offset``, is out already."""
        return min((self.size - offset) % WRAP, len(text))

    def append(self, data: bytes) -> None:
        """Write all of it; wait for a slow reader, count the records of one that is gone."""
        while data:
            try:
                written = os.write(self.descriptor, data[: _atomic(data)])
            except BlockingIOError:
                has_room(self.descriptor, ROOM_SECONDS)
            except OSError as error:
                if error.errno not in NO_SPACE:
                    self._lose(data, error)
                    return
                wait_for_space("standard output", error)
            else:
                self.counts[SENT] += written
                data = data[written:]

    def _lose(self, data: bytes, error: OSError) -> None:
        warn_once("standard output cannot be written", error)
        self.counts[SENT] += len(data)
        self.counts[LOST] += data.count(b"\n") - data.count(CONTINUATION.encode())

    def end_line(self) -> None:
        """Do nothing: the text before is not known."""

    def reopen(self) -> None:
        """Do nothing: there is no path."""

    def rotate(self) -> None:
        """Do nothing, for the same reason."""

    def close(self) -> None:
        """Leave it open: the next record comes the same way."""


def claim_stdout(max_bytes: int) -> None:
    """Keep standard output for the log alone, before anything starts that could print there.

    Raises:
        RefusedError: It is closed, or cannot do what is asked for.
    """
    if max_bytes:
        problem = "--log-max-bytes: standard output cannot be rotated; give 0, or a --log-file"
        raise RefusedError(problem)
    if not HAS_STDOUT_LOG:
        raise RefusedError("--log-file: no log on standard output on this platform; give a file")
    try:
        streams.lend_stdout()
    except OSError as error:
        raise RefusedError(f"--log-file: {error.strerror}; give a file") from error


def _atomic(data: bytes) -> int:
    """Return how much of it to write at once."""
    return data.rfind(b"\n", 0, ATOMIC) + 1 or ATOMIC
