"""Ways to log from several processes into one file."""

import logging
import logging.handlers
import multiprocessing
import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from . import rendered

LAYOUTS = {
    "text": "%(asctime)s %(processName)-10s %(levelname)-8s %(message)s",
    "caller": "%(asctime)s %(processName)-10s %(levelname)-8s %(filename)s:%(lineno)d %(message)s",
    "json": "json",
}
MESSAGE = "record number %d of a worker that has a few words to say"
CONTEXT = multiprocessing.get_context("fork")

Call = tuple[Callable[..., Any], str]
"""A function to call with a message and a number, and the message."""


class LogContestant:
    """Start the receiving side, configure a worker, flush it, stop; this one writes directly."""

    listener_pid: int | None = None
    """The process that writes for others, if there is one."""

    def __init__(self, folder: Path, layout: str) -> None:
        """Write to a file in ``folder``; ``layout`` is a key of ``LAYOUTS``."""
        self.path, self.layout = folder / "bench.log", layout

    def start(self) -> None:
        """Be ready to receive records; in main, before the workers start."""

    def configure(self) -> Call:
        """Configure this worker's logging."""
        return _log_to(self.file_handler())

    def flush(self) -> None:
        """Send all records of this worker."""

    def stop(self) -> None:
        """Write everything to disk."""

    def formatter(self) -> logging.Formatter:
        """Return the standard library's formatter, or for JSON the one that the service uses."""
        if self.layout == "json":
            formats = rendered.module("process", "log.formats")
            formatter: logging.Formatter = formats.JsonLineFormatter()
            return formatter
        return logging.Formatter(LAYOUTS[self.layout])

    def file_handler(self) -> logging.Handler:
        """Return the standard library's handler for the file."""
        handler = logging.FileHandler(self.path)
        handler.setFormatter(self.formatter())
        return handler


class RawWrite(LogContestant):
    """The floor: bytes that are ready, one system call."""

    def configure(self) -> Call:
        """Format once, not for each record."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        record = logging.makeLogRecord({"msg": MESSAGE, "args": (1,), "levelname": "INFO"})
        line = self.formatter().format(record).encode() + b"\n"
        return lambda _message, _number: os.write(descriptor, line), ""


class Ours(LogContestant):
    """The rendered service's own listener and handlers."""

    transport = "pipe"

    def start(self) -> None:
        """Start the listener."""
        form = {"log_format": "json"} if self.layout == "json" else {}
        layout = {} if self.layout == "json" else {"log_layout": LAYOUTS[self.layout]}
        given = rendered.settings(
            "process", self.path.parent, workers=1, start_method="fork",
            log_transport=self.transport, **form, **layout,
        )  # fmt: skip
        self.listener = rendered.module("process", "listener").Listener(given)
        self.listener.start()
        self.listener_pid = self.listener.process.pid

    def configure(self) -> Call:
        """Configure as the service's workers do."""
        rendered.module("process", "configurer").configure_worker(self.listener.setup, 60.0)
        return logging.getLogger("bench").info, MESSAGE

    def stop(self) -> None:
        """Let the listener end.

        Raises:
            RuntimeError: It could not write everything.
        """
        if not self.listener.stop(60.0):
            raise RuntimeError("the listener did not write everything")


class OursQueue(Ours):
    """The same through the queue transport."""

    transport = "queue"

    def flush(self) -> None:
        """Let the queue's thread send its records."""
        _send_all(self.listener.setup.sender.queue)


class Classic(LogContestant):
    """A multiprocessing.Queue, QueueHandlers, a listener process: the logging cookbook's way."""

    def start(self) -> None:
        """Start the listener process."""
        self.queue: Any = CONTEXT.Queue(-1)
        self.listener = CONTEXT.Process(target=self._listen, name="listener")
        self.listener.start()
        self.listener_pid = self.listener.pid

    def configure(self) -> Call:
        """Send every record to the queue."""
        return _log_to(logging.handlers.QueueHandler(self.queue))

    def flush(self) -> None:
        """Let the queue's thread send its records."""
        _send_all(self.queue)

    def stop(self) -> None:
        """Send the sentinel."""
        self.queue.put(None)
        self.listener.join()

    def _listen(self) -> None:
        _log_to(self.file_handler())
        while (record := self.queue.get()) is not None:
            logging.getLogger(record.name).handle(record)


class QueueListener(Classic):
    """The same with a thread of main as the listener."""

    def start(self) -> None:
        """Start the thread."""
        self.queue = CONTEXT.Queue(-1)
        self.thread = logging.handlers.QueueListener(self.queue, self.file_handler())
        self.thread.start()
        self.listener_pid = os.getpid()

    def stop(self) -> None:
        """Send the sentinel."""
        self.thread.stop()


class Loguru(LogContestant):
    """loguru with enqueue=True."""

    def start(self) -> None:
        """Add the file; a thread of main writes it."""
        self.logger: Any = import_module("loguru").logger
        self.logger.remove()
        layout = "{time:YYYY-MM-DD HH:mm:ss,SSS} {process.name: <10} {level: <8} {message}"
        self.logger.add(self.path, format=layout, enqueue=True, context=CONTEXT)
        self.listener_pid = os.getpid()

    def configure(self) -> Call:
        """Log with loguru's own logger."""
        return self.logger.info, MESSAGE.replace("%d", "{}")

    def flush(self) -> None:
        """Wait as loguru's manual tells."""
        self.logger.complete()

    def stop(self) -> None:
        """Remove the file."""
        self.logger.remove()


class ConcurrentLogHandler(LogContestant):
    """concurrent-log-handler: each process writes, a lock file keeps them apart."""

    def file_handler(self) -> logging.Handler:
        """Return its handler for the file, which never rotates here."""
        module = import_module("concurrent_log_handler")
        handler: logging.Handler = module.ConcurrentRotatingFileHandler(self.path, "a")
        handler.setFormatter(self.formatter())
        return handler


class LoggerTT(LogContestant):
    """logger-tt with a multiprocessing queue, its fastest way."""

    def start(self) -> None:
        """Configure it from a file, as its manual does."""
        config = Path(__file__).with_name("logger_tt.json")
        module = import_module("logger_tt")
        self.config = module.setup_logging(str(config), str(self.path), use_multiprocessing="fork")
        self.listener_pid = os.getpid()

    def configure(self) -> Call:
        """Workers inherit everything."""
        return logging.getLogger("bench").info, MESSAGE

    def flush(self) -> None:
        """Let the queue's thread send its records."""
        _send_all(logging.getLogger().handlers[0].queue)  # type: ignore[attr-defined] # QueueHandler

    def stop(self) -> None:
        """Send the sentinel."""
        for listener in self.config.q_listeners:
            listener.stop()


def _send_all(queue: Any) -> None:
    """Let a queue's thread send its records."""
    queue.close()
    queue.join_thread()


def _log_to(handler: logging.Handler) -> Call:
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    return logging.getLogger("bench").info, MESSAGE


CONTESTANTS: dict[str, type[LogContestant]] = {
    "ours, pipe": Ours,
    "ours, queue": OursQueue,
    "classic queue": Classic,
    "QueueListener": QueueListener,
    "loguru": Loguru,
    "concurrent-log-handler": ConcurrentLogHandler,
    "logger-tt": LoggerTT,
    "FileHandler per process": LogContestant,
    "raw os.write": RawWrite,
}
