"""A pipe with a buffer and a log at its end, and a listener that dies at a given step."""

import os
import select
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from file_digest.log.logfile import LogFile
from file_digest.log.parts import PartFiles
from file_digest.log.recovery import (
    RecoveryBuffer,
    Shared,
    copy_records,
    new_shared_bytes,
)
from file_digest.log.stream import LogStream
from file_digest.log.wire import cut

SOURCES = {
    method.__code__.co_filename
    for method in (LogFile.append, LogStream.append, PartFiles.add, RecoveryBuffer.read)
}


class Killed(BaseException):
    """The listener ends here."""


def open_descriptors() -> set[int]:
    """Return what is open, without the folder's own descriptor: the next file gets its number."""
    listed, still_open = map(int, os.listdir("/dev/fd")), set[int]()
    for descriptor in listed:
        with suppress(OSError):
            os.fstat(descriptor)
            still_open.add(descriptor)
    return still_open


class KillAtStep:
    """Ends this process before the given line of the listener's code."""

    def __init__(self, step: int) -> None:
        """Count from 0."""
        self.left = step

    def trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        """Count lines, as ``sys.settrace`` has it."""
        if frame.f_code.co_filename not in SOURCES:
            return None
        if event == "line":
            if not self.left:
                raise Killed
            self.left -= 1
        return self.trace


class Pipe:
    """A pipe with a log at its end."""

    def __init__(self, folder: Path, max_bytes: int = 0, backups: int = 9) -> None:
        """Open it; nothing is in it."""
        self.options = folder / "the.log", max_bytes, backups
        self.log = self.options[0]
        self.reader, self.writer = os.pipe()
        self.shared: Shared = new_shared_bytes()
        self.commands: list[bytes] = []

    def send(self, *lines: bytes) -> None:
        """Send records and commands."""
        for line in lines:
            os.write(self.writer, line)

    def send_long(self, record: bytes) -> None:
        """Send a record in pieces."""
        self.send(*cut(record, "run", 30))

    def open_log(self) -> LogFile | LogStream:
        """Open what a listener writes to."""
        return LogFile(*self.options)

    def listen(self) -> None:
        """Do what a listener does, until the pipe is empty."""
        file = self.open_log()
        buffer = RecoveryBuffer(self.shared, file)
        self.commands += copy_records(buffer, file)
        while select.select([self.reader], [], [], 0)[0]:
            buffer.read(self.reader)
            self.commands += copy_records(buffer, file)
        file.close()

    def listen_until(self, step: int) -> bool:
        """Listen, but die before that line of the code; False if it came to its end."""
        trace = sys.gettrace()
        sys.settrace(KillAtStep(step).trace)
        try:
            return self.listen_until_killed()
        finally:
            sys.settrace(trace)

    def listen_until_killed(self) -> bool:
        """Listen, and close what a killed listener had open, as the system would; False if none."""
        before = open_descriptors()
        try:
            self.listen()
        except Killed:
            return True
        finally:
            for descriptor in open_descriptors() - before:
                os.close(descriptor)
        return False

    def files(self) -> list[Path]:
        """Return all log files, oldest first."""
        backups = sorted(self.log.parent.glob("the.log.*[0-9]"), reverse=True)
        return [*backups, *([self.log] if self.log.exists() else [])]

    def text(self) -> bytes:
        """Return what all log files hold."""
        return b"".join(path.read_bytes() for path in self.files())

    def close(self) -> None:
        """Close both ends, and remove the files."""
        os.close(self.reader)
        os.close(self.writer)
        for path in self.log.parent.iterdir():
            path.unlink()
