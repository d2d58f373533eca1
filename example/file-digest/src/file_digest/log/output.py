"""Turn the output of workers into log records, line by line.

Python's own prints become records in the worker itself, as if they had been logged there. What C
code and programs write to descriptors 1 and 2 goes down a named pipe of the worker's, which main
reads: no thread of the worker has to, for C code may hold the GIL while it writes.
"""

import atexit
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import util
from pathlib import Path
from typing import Any

from ..system import screen, streams
from . import hooks
from .formats import ITEM

READ_BYTES = 1 << 16
LAST_READS = 4
"""More than a pipe holds; what the worker's programs write after its end is not waited for."""
LONGEST_LINE = 1 << 20
HAS_NAMED_PIPES = sys.platform != "win32"
OURS = {__file__, screen.__file__}


class Lines:
    """Splits data that arrives in pieces into lines."""

    rest = b""
    """The beginning of the next line."""

    def add(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete by now, or far too long, without their breaks."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        if len(self.rest) > LONGEST_LINE:
            lines, self.rest = [*lines, self.rest], b""
        return lines


class PrintedLines:
    """Logs what this process prints, once a line is complete."""

    def __init__(self) -> None:
        """Begin without any."""
        self.streams = {"stdout": Lines(), "stderr": Lines()}
        self.busy = threading.local()

    def take(self, stream: str, data: bytes) -> bool:
        """Log the lines of what was printed.

        Returns:
            Whether it was logged. Output of the owner's own log handlers is not, because the log
            has it already; nor is output of an error while a line is logged.
        """
        if hooks.calls_others() or hasattr(self.busy, "now"):
            return False
        self.busy.now = True
        try:
            for line in self.streams[stream].add(data):
                log_line(stream, line, **_caller())
        finally:
            del self.busy.now
        return True

    def finish(self) -> None:
        """Log what is left of an unfinished line, at the end."""
        for name, stream in self.streams.items():
            if stream.rest:
                self.take(name, b"\n")


def capture(path: str) -> None:
    """Log all that this worker prints from now on.

    Args:
        path: Of the worker's ``OutputPipe``; empty to leave its output alone.
    """
    if not path:
        return
    descriptor, printed = os.open(path, os.O_WRONLY), PrintedLines()
    streams.redirect(descriptor, printed.take)
    os.close(descriptor)
    atexit.register(printed.finish)


class OutputPipe:
    """Main's end of a worker's named pipe."""

    descriptor: int

    def __init__(self, worker: str) -> None:
        """Open it, under the name of a worker that is about to start.

        Raises:
            OSError: It cannot be created.
        """
        path = Path(util.get_temp_dir(), f"{worker}.output")
        path.unlink(missing_ok=True)
        self.path, self.worker, self.lines = str(path), worker, Lines()
        if sys.platform != "win32":
            os.mkfifo(path, 0o600)
            # Open for writing too: so it never ends, and a worker can open it any time, fifo(7).
            self.descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def fileno(self) -> int:
        """Return the descriptor to read from."""
        return self.descriptor

    def log_lines(self, pid: int, key: str | None) -> bool:
        """Log the lines that are complete by now, as the worker's; return whether there were any.

        Args:
            pid: The worker's.
            key: Of its current item, as far as main knows.
        """
        data = b""
        with suppress(BlockingIOError):
            data = os.read(self.descriptor, READ_BYTES)
        for line in self.lines.add(data):
            log_line("output", line, **self._fields(pid, key))
        return bool(data)

    def close(self, pid: int, key: str | None) -> None:
        """Log what is left, of a worker that is gone, and remove the pipe."""
        for _ in range(LAST_READS):
            if not self.log_lines(pid, key):
                break
        if self.lines.rest:
            log_line("output", self.lines.rest, **self._fields(pid, key))
        os.close(self.descriptor)
        with suppress(OSError):  # somebody cleared the folder
            os.unlink(self.path)

    def _fields(self, pid: int, key: str | None) -> dict[str, Any]:
        return {"processName": self.worker, "process": pid, **({ITEM: key} if key else {})}


def log_line(source: str, line: bytes, **fields: Any) -> None:
    """Log a printed line.

    Args:
        source: The logger's name.
        line: Without its line break.
        fields: The record's that are known.
    """
    text = line.removesuffix(b"\r").decode("utf-8", "surrogateescape")
    level = {"levelno": logging.INFO, "levelname": "INFO"}
    hooks.deliver(logging.makeLogRecord({"name": source, "msg": text, **level, **fields}))


def _caller() -> dict[str, Any]:
    """Return where a line was printed."""
    for frame in _frames():
        code = frame.f_code
        if code.co_filename not in OURS:
            name = os.path.basename(code.co_filename)
            return {
                "pathname": code.co_filename,
                "filename": name,
                "module": os.path.splitext(name)[0],
                "lineno": frame.f_lineno,
                "funcName": code.co_name,
            }
    return {}


def _frames() -> Iterator[Any]:
    frame: Any = sys._getframe(1)  # noqa: SLF001 - as logging itself does it
    while frame:
        yield frame
        frame = frame.f_back
