"""The log file: whole records are appended to it, and it is rotated between them."""

import errno
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

RETRY_SECONDS = 0.2
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}
"""Errors that may go away; after any other another folder is tried."""

REPORTED: set[str] = set()


def open_for_writing(path: Path, flags: int) -> int:
    """Open a file for writing; create it with a mode that lets us reopen it, whatever the umask.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, flags | os.O_CREAT, 0o640)
    if sys.platform != "win32" and not (mode := os.fstat(descriptor).st_mode) & 0o200:
        with suppress(OSError):  # it is somebody else's
            os.fchmod(descriptor, mode | 0o600)
    return descriptor


def append(path: Path, data: bytes) -> None:
    """Append ``data`` to a file that is opened for that alone.

    Raises:
        OSError: Not all of it could be written.
    """
    descriptor = open_for_writing(path, os.O_WRONLY | os.O_APPEND)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes, offset: int | None = None) -> None:
    """Write all of it in one go: at ``offset``, or where the descriptor stands.

    Raises:
        OSError: It is not all written.
    """
    if sys.platform != "win32" and offset is not None:
        written = os.pwrite(descriptor, data, offset)
    else:
        written = os.write(descriptor, data)
    if written < len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def wait_for_space(path: Path | str, error: OSError) -> None:
    """Wait a moment before the next try, and say on stderr why."""
    # The pipe fills meanwhile, and the workers turn to their rescue file.
    warn_once(f"{path} cannot be written", error)
    time.sleep(RETRY_SECONDS)


def warn_once(what: str, error: OSError) -> None:
    """Write to stderr, once for each kind of trouble: the log itself cannot take it."""
    line = f"log listener: {what}: {error.strerror}\n"
    if line not in REPORTED:
        REPORTED.add(line)
        with suppress(OSError):
            sys.stderr.write(line)


class LogFile:
    """A file that whole records are appended to, rotated between them."""

    def __init__(self, path: Path, max_bytes: int = 0, backups: int = 0) -> None:
        """Open ``path``; let it grow to ``max_bytes`` (0: without limit), keep ``backups``."""
        self.path, self.max_bytes, self.backups = path, max_bytes, backups
        self.descriptor = -1
        self.reopen()

    @property
    def size(self) -> int:
        """Its size in bytes, asked anew each time: logrotate's copytruncate may have cut it."""
        return os.fstat(self.descriptor).st_size

    def has_room_for(self, count: int) -> bool:
        """Whether ``count`` bytes fit; an empty file takes even a record that is longer than it."""
        return not (self.max_bytes and self.size and self.size + count > self.max_bytes)

    def holds(self, text: bytes, offset: int) -> int:
        """Return how much of ``text`` is in the file already, from ``offset`` on.

        What follows it was written by somebody else, or is nothing; only in the second case may
        the last line be incomplete.
        """
        with self.path.open("rb") as file:
            file.seek(offset)
            there = file.read(len(text))
        pairs = enumerate(zip(text, there, strict=False))
        same = next((at for at, (ours, its) in pairs if ours != its), len(there))
        return same if same == len(there) else text.rfind(b"\n", 0, same) + 1

    def end_line(self) -> None:
        """Complete a line that was cut, by a power failure for example."""
        with self.path.open("rb") as file:
            if self.size and file.seek(-1, os.SEEK_END) >= 0 and file.read() != b"\n":
                self.append(b"\n")

    def reopen(self) -> None:
        """Open the path again, which may by now be another file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        opened = open_for_writing(self.path, os.O_WRONLY | os.O_APPEND)
        self.close()
        self.descriptor = opened

    def close(self) -> None:
        """Close it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def append(self, data: bytes) -> None:
        """Write all of it; while the disk is full, wait for space."""
        while data:
            try:
                data = data[os.write(self.descriptor, data) :]
            except OSError as error:
                wait_for_space(self.path, error)

    def rotate(self) -> None:
        """Rename log to log.1, log.1 to log.2 and so on, and begin a new file.

        It begins at the first gap in the numbers, which a listener that was killed here has left.
        """
        kept = range(1, self.backups + 1)
        gap = next((n for n in kept if not self._backup(n).exists()), self.backups)
        try:
            for number in range(gap, 1, -1):
                os.replace(self._backup(number - 1), self._backup(number))
            with suppress(FileNotFoundError):
                if self.backups:
                    os.replace(self.path, self._backup(1))
                else:
                    self.path.unlink()
            self.reopen()
        except OSError as error:
            warn_once(f"{self.path} cannot be rotated", error)

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
