"""Long records on their way through the pipe: each a file beside the log until it is complete."""

import errno
import glob
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .logfile import FULL, open_for_writing, wait_for_space, write_all
from .wire import Piece


class PartFiles:
    """The files of one log: beside it or, if that fails, in the system's temporary folder."""

    def __init__(self, log_file: Path) -> None:
        """Create nothing yet."""
        self.log_file = log_file

    def add(self, piece: Piece) -> None:
        """Write a piece at its place, once there is space; writing it twice changes nothing."""
        for path in self._paths(piece.name):
            while True:
                try:
                    _write_at(path, piece)
                except OSError as error:
                    if error.errno not in FULL:
                        break  # the next folder may do
                    wait_for_space(path, error)
                else:
                    return

    def read(self, name: str, length: int) -> bytes:
        """Return a complete record, or a line that says why it cannot be read."""
        error = OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        for path in self._paths(name):
            try:
                if len(found := path.read_bytes()[:length]) == length:
                    return found
            except OSError as trouble:
                error = trouble
        return f"[a long log record could not be read: {error.strerror}]".encode()

    def remove(self, name: str) -> None:
        """Remove the files of a record that is in the log by now."""
        for path in self._paths(name):
            with suppress(OSError):
                path.unlink()

    def remove_all(self, run: str) -> None:
        """Remove files of processes of a run that were killed while they logged."""
        for path in self._paths(""):
            pattern = path.with_name(f"{glob.escape(self.log_file.name)}.{run}-*.part")
            for part in path.parent.glob(pattern.name):
                with suppress(OSError):
                    part.unlink()

    def _paths(self, name: str) -> Iterator[Path]:
        yield self.log_file.with_name(f"{self.log_file.name}.{name}.part")
        yield Path(tempfile.gettempdir(), f"{self.log_file.name}.{name}.part"[-200:])


def _write_at(path: Path, piece: Piece) -> None:
    descriptor = open_for_writing(path, os.O_WRONLY)
    try:
        write_all(descriptor, piece.data, piece.offset)
    finally:
        os.close(descriptor)
