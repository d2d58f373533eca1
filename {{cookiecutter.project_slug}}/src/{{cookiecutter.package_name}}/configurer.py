"""The logging configurers: what each process's root logger does with a record."""

import logging
import logging.handlers
import time
from dataclasses import dataclass
from pathlib import Path

from .formats import JsonLineFormatter, LineFormatter
from .ledger import RETRY_SECONDS, complain
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


class WaitingFileHandler(logging.handlers.RotatingFileHandler):
    """Waits while the disk is full, instead of going on without the record."""

    def flush(self) -> None:
        """Write what the file object still holds."""
        while True:
            try:
                super().flush()
            except OSError as error:
                complain(f"{self.baseFilename} cannot be written", error)
                time.sleep(RETRY_SECONDS)
            else:
                return


def configure_listener(setup: LogSetup, log_file: Path, max_bytes: int, backups: int) -> None:
    """Have the listener of the queue transport write the records that it receives.

    Any handler of the standard library can be added here. (The pipe transport's listener copies
    lines that the workers formatted; it has no use for handlers.)
    """
    log_file.parent.mkdir(parents=True, exist_ok=True)
    handler = WaitingFileHandler(
        log_file, maxBytes=max_bytes, backupCount=backups, encoding="utf-8",
        errors="backslashreplace",
    )  # fmt: skip
    handler.setFormatter(setup.formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.NOTSET)
