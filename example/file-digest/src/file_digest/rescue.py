"""What a process does whose records the listener does not take: wait, then go round it."""

import errno
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MOST_TIMES = 6
"""How often its patience a process waits in all while the listener writes, but for others only."""


class Patience:
    """How long to wait for room: while the listener writes, however slowly.

    Once it has stood still for ``seconds``, there is no further waiting until it moves again.
    """

    def __init__(self, log_file: Path, seconds: float) -> None:
        """Tell by the log file's size whether the listener moves."""
        self.log_file, self.seconds = log_file, seconds
        self.seen: tuple[int, int] | None = None
        self.ended = False

    def lasts(self, has_room: Callable[[float], bool]) -> bool:
        """Return whether ``has_room``, which waits for some seconds, says so in time."""
        if not self._has_moved() and self.ended:
            return False
        began = moved = time.monotonic()
        while not has_room(self.seconds / 5):
            now = time.monotonic()
            if self._has_moved():
                moved = now
            if now >= min(moved + self.seconds, began + self.seconds * MOST_TIMES):
                return False
        return True

    def _has_moved(self) -> bool:
        before, self.seen = self.seen, None
        with suppress(OSError):
            found = self.log_file.stat()
            self.seen = found.st_ino, found.st_size
        return self.seen != before


class Rescue:
    """Where records go while the listener stands still: ``<log-file>.rescue``."""

    def __init__(self, log_file: Path) -> None:
        """Create nothing yet."""
        self.path = log_file.with_name(log_file.name + ".rescue")
        self.saved = self.lost = 0
        self.torn = False
        """Whether the last line may be incomplete."""

    def keep(self, line: bytes) -> None:
        """Append one record; count it as lost if that fails too, as on a full disk."""
        try:
            append(self.path, b"\n" * self.torn + line)
        except OSError:
            self.lost += 1
            self.torn = True
        else:
            self.saved += 1
            self.torn = False

    def account(self) -> logging.LogRecord | None:
        """Return a record that tells where records went since the last account, if any did."""
        if not (self.saved or self.lost):
            return None
        message = "the log listener stood still or was slow: %d records went to %s, %d were lost"
        args = (self.saved, self.path, self.lost)
        self.saved = self.lost = 0
        return logging.makeLogRecord(
            {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
            | {"msg": message, "args": args}
        )


def append(path: Path, data: bytes) -> None:
    """Append ``data`` to a file, at once.

    Raises:
        OSError: Not all of it could be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        if os.write(descriptor, data) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)
