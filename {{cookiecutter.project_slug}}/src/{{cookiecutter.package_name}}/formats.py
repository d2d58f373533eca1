"""From a log record to text, whatever was logged."""

import logging
import re
import time
from contextlib import suppress
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from .text import ESCAPES

CONTINUATION = "\n  | "
"""Begins each further line of a record. Records begin with a date, so no message can forge one."""


class SafeFormatter(logging.Formatter):
    """Formats every record, also one whose arguments do not fit or cannot be shown."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text."""
        try:
            return super().format(record)
        except Exception as error:  # the logged objects' own code, which may raise anything
            return super().format(repaired(record, error))


class LineFormatter(SafeFormatter):
    """The text format: one line a record, its own line breaks marked, controls made visible."""

    def __init__(self, layout: str) -> None:
        """Format with ``layout``, in %-style."""
        # A record that lacks a field of the layout, one that extra= gives to others, shows a dash.
        super().__init__(layout, defaults=dict.fromkeys(re.findall(r"%\((\w+)\)", layout), "-"))
        self.layout, self.has_time = layout, self.usesTime()
        self.now = -1, ""
        """The second that was last made into text, and that text; one value, for threads' sake."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text."""
        if record.exc_info or record.exc_text or record.stack_info:
            text = super().format(record)
        else:
            text = self._plain(record)
        return text if text.isprintable() else one_record(text)

    def _plain(self, record: logging.LogRecord) -> str:
        """Do what logging.Formatter does for a record without exception, in half the time."""
        try:
            message = record.msg if type(record.msg) is str else str(record.msg)
            record.message = message % record.args if record.args else message
            if self.has_time:
                record.asctime = self.formatTime(record)
            return self.layout % record.__dict__
        except Exception:  # the logged objects' own code, or a layout with fields of its own
            return super().format(record)

    def formatTime(  # noqa: N802 - logging's own name
        self, record: logging.LogRecord, _datefmt: str | None = None
    ) -> str:
        """Return the time with milliseconds; the seconds are made into text once a second."""
        second, stamp = self.now
        if second != int(record.created):
            second = int(record.created)
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self.now = second, stamp
        return "%s,%03d" % (stamp, record.msecs)  # noqa: UP031 - 60 % of an f-string's time


class JsonLineFormatter(JsonFormatter):
    """The JSON format: one object a line."""

    def __init__(self) -> None:
        """Name the fields."""
        super().__init__(
            "{created}{levelname}{name}{processName}{process}{message}",
            style="{",
            rename_fields={
                "created": "time",
                "levelname": "level",
                "name": "logger",
                "processName": "process",
                "process": "pid",
            },
        )

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON text."""
        try:
            return super().format(record)
        except Exception as error:  # the logged objects' own code, which may raise anything
            return super().format(repaired(record, error))


MESSAGE = SafeFormatter("%(message)s")


def one_record(text: str) -> str:
    """Mark a text's line breaks as its own, and make control characters visible."""
    plain = text.replace("\r\n", "\n").translate(ESCAPES)
    return plain.replace("\n", CONTINUATION)


def repaired(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    """Return a copy of a record that cannot fail to format, and says why the first one did."""
    arguments = record.args if isinstance(record.args, tuple) else (record.args,)
    shown = ", ".join(map(shown_safely, arguments or ()))
    message = f"{shown_safely(record.msg, str)} [with {shown or 'no arguments'}: {_name(error)}]"
    plain = {"msg": message, "args": None, "exc_info": None, "exc_text": _exception(record)}
    known = logging.makeLogRecord({}).__dict__
    kept = {name: value for name, value in record.__dict__.items() if name in known}
    return logging.makeLogRecord(kept | plain)


def shown_safely(value: object, show: Any = repr) -> str:
    """Return ``show(value)``, or what can be said of a value that raises at that."""
    with suppress(Exception):
        return str(show(value))
    return f"<{type(value).__name__} that cannot be shown>"


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {shown_safely(error, str)}"


def _exception(record: logging.LogRecord) -> str | None:
    if not record.exc_info:
        return None
    with suppress(Exception):
        return logging.Formatter().formatException(record.exc_info)
    return f"<{type(record.exc_info[1]).__name__} whose traceback cannot be shown>"
