"""The logging configurers: what each process's root logger does with a record."""

import logging
from dataclasses import dataclass
from pathlib import Path

from .formats import JsonLineFormatter, LineFormatter
from .ledger import LogFile
from .records import collect_for
from .settings import LogFormat
from .transport import PATIENCE_SECONDS, Sender


@dataclass(frozen=True, slots=True)
class LogSetup:
    """How a process logs: handed to each worker when it starts."""

    level: str
    format: LogFormat
    layout: str
    sender: Sender

    def formatter(self) -> logging.Formatter:
        """Return the formatter for the log file."""
        return JsonLineFormatter() if self.format == "json" else LineFormatter(self.layout)


def configure_worker(setup: LogSetup, patience: float = PATIENCE_SECONDS) -> None:
    """Have every logger of this process, a worker or main, send its records to the listener.

    Warnings of ``warnings`` are logged too.

    Args:
        setup: What to log, in which format, and where to.
        patience: Seconds to wait for a listener that stands still, before the rescue file is used.
    """
    handler = setup.sender.handler(patience)
    handler.setFormatter(setup.formatter())
    collect_for(setup.layout if setup.format == "text" else "")
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(setup.level)
    logging.captureWarnings(True)


class LogFileHandler(logging.Handler):
    """Appends records to a file that is rotated between them; waits while the disk is full.

    Like logging's own file handlers, a closed one opens its file again for the next record.
    """

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        """See ``LogFile``."""
        super().__init__()
        self.file = LogFile(path, max_bytes, backups)

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


def configure_listener(setup: LogSetup, log_file: Path, max_bytes: int, backups: int) -> None:
    """Have the listener of the queue transport write the records that it receives.

    Any handler of the standard library can be added here. (The pipe transport's listener copies
    lines that the workers formatted; it has no use for handlers.)
    """
    handler = LogFileHandler(log_file, max_bytes, backups)
    handler.setFormatter(setup.formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.NOTSET)
