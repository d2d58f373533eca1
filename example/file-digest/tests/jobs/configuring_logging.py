"""Configures logging as the environment says: at its import, or in work()."""

import inspect
import logging
import logging.config
import os
import pathlib
from collections.abc import Iterator, Sequence
from types import FrameType

log = logging.getLogger(__name__)


def caller() -> str:
    """Find who logs as loguru's recipe does: beyond the handler, and the frames of logging."""
    frame = inspect.currentframe()
    while frame and (frame.f_code.co_name in {"caller", "emit"} or is_of_logging(frame)):
        frame = frame.f_back
    return frame.f_code.co_name if frame else ""


def is_of_logging(frame: FrameType) -> bool:
    return frame.f_code.co_filename == logging.__file__


class Note(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with open("notes", "a") as file:
            file.write(
                f"{record.process} {record.getMessage()} {record.filename} "
                f"{record.funcName} {record.threadName} {caller()}\n"
            )


class Raising(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("a handler's own trouble")


exec(os.environ.get("AT_IMPORT", ""))


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    log.info("in items")
    return ((f"item-{n}", n) for n in range(3))


def work(n: int) -> int:
    exec(os.environ.get("IN_WORK", ""))
    log.info("work of item %d", n)
    return n
