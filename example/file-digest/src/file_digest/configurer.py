"""The logging configurers: where each process sends its records, whatever the job configures."""

import logging
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from .log import hooks, records
from .log.fallback import STALL_SECONDS
from .log.formats import (
    ITEM_FIELD,
    JsonLineFormatter,
    LineFormatter,
    SafeFormatter,
    snapshot,
)
from .log.logfile import LogFile
from .log.pipe import PipeHandler, PipeSender
from .log.queue import QueueSender
from .log.stream import LogStream
from .settings import LogFormat

EARLY_RECORDS = 10_000


@dataclass(frozen=True, slots=True)
class LogSetup:
    """The logging configuration of a process: handed to each worker when it starts."""

    level: str
    format: LogFormat
    layout: str
    sender: PipeSender | QueueSender
    levels: Mapping[str, str] = field(default_factory=dict)
    """Logger's name to its level."""

    @property
    def shows_items(self) -> bool:
        """Whether lines of the log contain the key of their item."""
        return self.format == "json" or bool(ITEM_FIELD.search(self.layout))

    def formatter(self) -> SafeFormatter:
        """Return the formatter for the log file."""
        return JsonLineFormatter() if self.format == "json" else LineFormatter(self.layout)


class EarlyRecords(logging.Handler):
    """Keeps records until there is a log: while main or a forkserver imports the job."""

    def __init__(self, level: str) -> None:
        """Keep the newest ``EARLY_RECORDS`` of at least ``level``."""
        super().__init__(level)
        self.records: deque[logging.LogRecord] = deque(maxlen=EARLY_RECORDS)
        self.successor: logging.Handler | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one as it is now."""
        self.records.append(snapshot(record))
        if self.successor:  # which a thread that was on its way here did not know of
            self.hand_over(self.successor)

    def hand_over(self, successor: logging.Handler) -> None:
        """Pass the kept records, and those that may still come, to ``successor``."""
        self.successor = successor
        with suppress(IndexError):
            while True:
                successor.handle(self.records.popleft())


def keep_early_records(level: str, levels: Mapping[str, str]) -> EarlyRecords:
    """Keep the records of this process while it imports the job, for ``configure_worker``."""
    hooks.install()
    records.install()
    early = EarlyRecords(level)
    hooks.use(early)
    hooks.set_levels(levels)
    return early


def configure_worker(setup: LogSetup, stall_seconds: float = STALL_SECONDS) -> None:
    """Send the records of all loggers of this process, a worker or main, to the listener.

    Handlers that the job has added, here or in the process that this one was forked from, go on
    getting theirs. Warnings of ``warnings`` are logged too.

    Args:
        setup: What to log, in which format, and where to.
        stall_seconds: How long to wait for a listener that stands still, before records go to
            the rescue file.
    """
    handler = setup.sender.handler(setup.formatter(), stall_seconds)
    handler.setLevel(setup.level)
    hooks.install()
    records.install()
    before = hooks.use(handler)
    hooks.set_levels(setup.levels)
    logging.captureWarnings(True)
    for early in before:
        if isinstance(early, EarlyRecords):
            early.hand_over(handler)
        _release(early)


def deconfigure() -> None:
    """Restore the standard library's logging, because the listener leaves."""
    for handler in hooks.use():
        _release(handler)


def _release(handler: logging.Handler) -> None:
    if isinstance(handler, PipeHandler):
        handler.leave_pipe()


class LogFileHandler(logging.Handler):
    """Appends records to a file that is rotated between them; waits while the disk is full.

    Like logging's own file handlers, a closed one opens its file again for the next record.
    """

    def __init__(self, file: LogFile | LogStream) -> None:
        """Append to ``file``."""
        super().__init__()
        self.file = file

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
            if self.file.descriptor < 0:
                self.file.reopen()
            if not self.file.has_room_for(len(line)):
                self.file.rotate()
            self.file.append(line)
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        super().close()


def configure_listener(setup: LogSetup, file: LogFile | LogStream) -> LogFileHandler:
    """Write the records that the listener of the queue transport receives.

    Any handler of the standard library can be added here. (The pipe transport's listener copies
    lines that the workers formatted; it has no use for handlers.)
    """
    handler = LogFileHandler(file)
    handler.setFormatter(setup.formatter())
    hooks.use()
    # A forked listener has main's loggers, with handlers and filters that have had each record.
    logging.Logger.manager.loggerDict.clear()
    root = logging.getLogger()
    root.handlers[:], root.filters[:] = [handler], []
    root.setLevel(logging.NOTSET)
    logging.disable(logging.NOTSET)
    return handler
