"""The pipe: each record is one atomic write, and in the kernel's hands when its call returns."""

import logging
import multiprocessing
import os
import sys
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar

from ..system.files import high_duplicate
from ..system.screen import has_room
from .fallback import Fallback, FallbackFile, StallTimeout, identity_of
from .formats import SafeFormatter
from .parts import PartFiles
from .state import CUT_OFF, STALLED
from .wire import ATOMIC, COMMAND, cut

if sys.platform != "win32":
    import fcntl

    WITHOUT_WAITING = os.O_WRONLY | os.O_NONBLOCK
else:
    WITHOUT_WAITING = os.O_WRONLY

PIPE_BYTES = 1 << 18
"""Capacity of the pipe where it can be set: more than arrives between two reads."""
COMMAND_TIMEOUT = 0.1
SENT = -1


@dataclass(frozen=True, slots=True)
class PipeSender:
    """Everything a process needs in order to log through the pipe."""

    flush_seconds: ClassVar[float] = 0.0
    """Seconds that a process may need at its end to send buffered records: there are none."""
    writer: Connection
    log_file: Path
    origin: tuple[int, int]
    """Main's process id and the number that the writing end has there."""
    run: str
    """Part of the names of long records: chosen by chance, for this run alone."""
    fallback: Fallback

    def handler(self, formatter: SafeFormatter, stall_seconds: float) -> logging.Handler:
        """Return the handler that sends this process's records."""
        return PipeHandler(self, formatter, stall_seconds)


class PipeTransport:
    """The pipe. Main keeps both ends open, so a new listener goes on where a killed one stopped."""

    def __init__(self, log_file: Path) -> None:
        """Open the pipe."""
        ends: tuple[Any, Any] = multiprocessing.Pipe(duplex=False)  # on Windows a PipeConnection
        self.reader, self.writer = ends
        if sys.platform != "win32":
            os.set_blocking(self.writer.fileno(), False)
        if sys.platform == "linux":
            with suppress(OSError):  # this user's pipes take too much memory already
                fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.log_file, self.fallback = log_file, Fallback.beside(log_file)
        origin, run = (os.getpid(), self.writer.fileno()), os.urandom(4).hex()
        self.sender = PipeSender(self.writer, log_file, origin, run, self.fallback)

    def has_room(self) -> bool:
        """Whether a record could be sent without waiting."""
        return has_room(self.writer.fileno(), 0)

    def send_command(self, command: bytes) -> bool:
        """Send the listener a command, behind all records so far; False if the pipe is full."""
        deadline = time.monotonic() + COMMAND_TIMEOUT
        while has_room(self.writer.fileno(), max(0.0, deadline - time.monotonic())):
            with suppress(BlockingIOError):  # somebody else was faster
                os.write(self.writer.fileno(), COMMAND + command + b"\n")
                return True
        return False

    def close(self) -> None:
        """Close both ends, and remove what killed processes had begun to send."""
        self.writer.close()
        self.reader.close()
        self.fallback.close()
        PartFiles(self.log_file).remove_all(self.sender.run)


class WritingEnd:
    """A process's own end of the pipe, which it opens again if the job closes it."""

    def __init__(self, sender: PipeSender) -> None:
        """Duplicate it at a high number, which the job seldom closes."""
        self.given, self.origin = sender.writer.fileno(), sender.origin
        self.identity = identity_of(self.given)
        self.descriptor = high_duplicate(self.given)

    def has_room(self, seconds: float) -> bool:
        """Whether a write is possible within some seconds."""
        return has_room(self.descriptor, seconds)

    def reopen(self) -> bool:
        """Find the pipe again: by the descriptor that came with the process, or through main's."""
        if identity_of(self.given) == self.identity:
            self.descriptor = high_duplicate(self.given)
            return True
        pid, number = self.origin
        with suppress(OSError):  # main is gone, or another user's
            opened = os.open(f"/proc/{pid}/fd/{number}", WITHOUT_WAITING)
            if identity_of(opened) == self.identity:
                self.descriptor = high_duplicate(opened)
                if self.descriptor == opened:
                    return True
            os.close(opened)
        return identity_of(self.descriptor) == self.identity

    def close(self) -> None:
        """Close it, if it is still ours."""
        if self.descriptor != self.given and identity_of(self.descriptor) == self.identity:
            os.close(self.descriptor)


class PipeHandler(logging.Handler):
    """Formats a record and hands it to the kernel in one write, or waits until it can.

    When the listener stands still for some seconds, records go to the rescue file, without further
    waiting, until it moves again.
    """

    def __init__(self, sender: PipeSender, formatter: SafeFormatter, stall_seconds: float) -> None:
        """Send through ``sender``'s pipe; wait up to ``stall_seconds`` for room in it."""
        super().__init__()
        self.formatter, self.line = formatter, formatter.line
        self.sender = sender  # which keeps the descriptor open that came with this process
        self.stall = StallTimeout(sender.fallback.state, stall_seconds)
        self.end, self.fallback_file = WritingEnd(sender), FallbackFile(sender.fallback)

    def handle(self, record: logging.LogRecord) -> bool:
        """Send one record; what threads send needs no lock unless it has to go another way."""
        try:
            line = self.line(record)
        except Exception:
            self.handleError(record)
            return False
        if len(line) > ATOMIC or self.stall.expired:
            self._send(line)
            return True
        try:
            os.write(self.end.descriptor, line)
        except OSError:
            self._send(line)
        return True

    def leave_pipe(self) -> None:
        """Close this process's end; neither ``close`` nor ``release``, which logging calls."""
        self.end.close()

    def _send(self, line: bytes) -> None:
        """Send what needs more than one write, or has to wait."""
        with self.lock or nullcontext():
            lines = [line] if len(line) <= ATOMIC else cut(line, self.sender.run)
            results = map(self._write, lines)
            trouble = next((result for result in results if result != SENT), SENT)
            self.stall.expired = trouble == STALLED
            if trouble != SENT:
                self.fallback_file.append(line, trouble)

    def _write(self, line: bytes) -> int:
        """Write all of it or nothing, see pipe(7); return ``SENT``, ``STALLED`` or ``CUT_OFF``."""
        may_reopen = True
        while True:
            try:
                os.write(self.end.descriptor, line)
            except BlockingIOError:
                if not self.stall.wait_for(self.end.has_room):
                    return STALLED
            except BrokenPipeError:  # main and listener are gone
                return CUT_OFF
            except OSError:  # the job closed our descriptor
                if not may_reopen or not self.end.reopen():
                    return CUT_OFF
                may_reopen = False
            else:
                return SENT


def has_atomic_pipes() -> bool:
    """Whether writes to a pipe are all or nothing, as POSIX has it."""
    return sys.platform != "win32"
