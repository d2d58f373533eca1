"""Fallback for a stalled listener: wait, then write to a file."""

import errno
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from .logfile import append, write_all
from .state import CUT_OFF, LOST, STALLED, Counter, LogState
from .wire import file_text

if sys.platform != "win32":
    import fcntl

STALL_SECONDS = 5.0
MOST_TIMEOUTS = 6
"""Total wait in timeouts while the listener does write, but only records of other processes."""
NOT_FROM_HERE = {errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE}
"""Errors with which this process may fail to open a file that main can open."""


class StallTimeout:
    """Waits for room as long as the listener writes, however slowly.

    Once it has written nothing for ``seconds``, no record waits until it writes again.
    """

    def __init__(self, state: LogState, seconds: float) -> None:
        """Wait up to ``seconds``."""
        self.state, self.seconds = state, seconds
        self.seen = -1
        self.expired = False

    def wait_for(self, has_room: Callable[[float], bool]) -> bool:
        """Call ``has_room``, which waits for some seconds itself; return False at the timeout."""
        if not self._has_written() and self.expired:
            return False
        began = latest = time.monotonic()
        while not has_room(self.seconds / 5):
            now = time.monotonic()
            if self._has_written():
                latest = now
            if now >= min(latest + self.seconds, began + self.seconds * MOST_TIMEOUTS):
                return False
        return True

    def _has_written(self) -> bool:
        before, self.seen = self.seen, self.state.writes.value
        return self.seen != before


@dataclass(frozen=True, slots=True)
class Fallback:
    """The part that all processes share of the fallback for records that cannot be sent.

    They go to ``<log-file>.rescue``. A process that cannot open that file, for want of a descriptor
    or of rights, writes to one that main has opened beforehand and that has no name. Main collects
    what is there; the listener does when main is gone.
    """

    path: Path
    state: LogState
    spare: Connection | None
    """A file's descriptor, in an object that multiprocessing can pass to another process."""

    @classmethod
    def beside(cls, log_file: Path) -> "Fallback":
        """Prepare; no file has a name yet."""
        spare = None
        if sys.platform != "win32":
            with suppress(OSError), tempfile.TemporaryFile(buffering=0) as file:
                fcntl.fcntl(file, fcntl.F_SETFL, os.O_APPEND)
                spare = Connection(os.dup(file.fileno()), readable=False)
        return cls(log_file.with_name(f"{log_file.name}.rescue"), LogState(), spare)

    def collect(self, *, for_good: bool = False) -> None:
        """Append what is new in the spare file to the rescue file.

        Args:
            for_good: Whether there is no later: if it cannot be done, those records are lost.
        """
        if sys.platform != "win32" and self.spare:
            begin, end = self.state.collected.value, os.fstat(self.spare.fileno()).st_size
            if end <= begin:
                return
            data = os.pread(self.spare.fileno(), end - begin, begin)
            try:
                append(self.path, data)
            except OSError:
                if not for_good:
                    return
                Counter(self.state).add(LOST, data.count(b"\n"))
            self.state.collected.value = end

    def take_warnings(self) -> list[str]:
        """Return a sentence for each kind of new records that are not in the log."""
        counts = self.state.take_unreported()
        texts = {
            STALLED: "the log listener stood still or was slow: %d log records went to %s",
            CUT_OFF: "a process lost its way to the log listener: %d log records went to %s",
            LOST: "%d log records were lost: neither the log listener nor %s could take them",
        }
        return [texts[kind] % (count, self.path) for kind, count in enumerate(counts) if count]

    def close(self) -> None:
        """Let go of the spare file."""
        if self.spare:
            self.spare.close()


class FallbackFile:
    """Appends one process's records to the rescue file."""

    def __init__(self, fallback: Fallback) -> None:
        """Create nothing yet."""
        self.fallback, self.counter = fallback, Counter(fallback.state)
        self.spare = fallback.spare.fileno() if fallback.spare else -1
        self.identity = identity_of(self.spare)
        self.torn = False
        """Whether the last line may be incomplete."""

    def append(self, line: bytes, reason: int) -> None:
        """Append one record; count it as lost if that fails too, as on a full disk."""
        line = b"\n" * self.torn + file_text(line)
        try:
            self._append(line)
        except OSError:
            self.torn = True
            self.counter.add(LOST)
        else:
            self.torn = False
            self.counter.add(reason)

    def _append(self, line: bytes) -> None:
        """Write to the rescue file, or to the spare one where this process may not open that.

        Raises:
            OSError: Neither is possible.
        """
        try:
            append(self.fallback.path, line)
        except OSError as error:
            # The job may have closed the spare file, and its number be another file's by now.
            ours = self.spare >= 0 and identity_of(self.spare) == self.identity
            if not ours or error.errno not in NOT_FROM_HERE:
                raise
            write_all(self.spare, line)


def identity_of(descriptor: int) -> tuple[int, int] | None:
    """Return what a descriptor stands for, whatever its number; None if it is closed."""
    with suppress(OSError):
        found = os.fstat(descriptor)
        return found.st_dev, found.st_ino
    return None
