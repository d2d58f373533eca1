"""From a log record to text, whatever was logged."""

import json
import logging
import re
import time
from contextlib import suppress
from operator import attrgetter
from typing import Any, Protocol

from pythonjsonlogger.core import RESERVED_ATTRS

from ..system.text import ESCAPES, text_of
from .values import add_field, json_value
from .wire import file_text, wire_line

CONTINUATION = "\n  | "
"""Begins each further line of a record. Records begin with a date, so no message can forge one."""


FIELD = re.compile(r"%\((\w+)\)")
VISIBLE = bytes(code if 32 <= code < 127 else 0 for code in range(256))
"""Translates visible ASCII to itself, and all other bytes to NUL."""
ENCODE = json.JSONEncoder(allow_nan=False).encode
USUAL = '{"time": %s, "level": %s, "logger": %s, "process": %s, "pid": %d, "message": %s%s}'
QUOTE: Any = json.encoder.encode_basestring_ascii
FAR_FUTURE = 1e12
"""Seconds since the epoch beyond which a value is no time; infinity is no JSON."""
RESERVED = frozenset(RESERVED_ATTRS)
"""Names of the standard attributes of a log record."""
GET_MESSAGE = logging.LogRecord.getMessage
"""Makes a record's message, unless the record's class, or the job, has another."""
ATOMS = {str, int, float, bool, type(None)}
"""Exact types that always pickle and print; a subclass of one may not."""
ITEM = "item"
"""The field that names the item during which a record was logged."""
ITEM_FIELD = re.compile(r"%\(item\)(-?\d*(?:\.\d+)?s)")
UNNAMED = re.compile(rf"(?!{ITEM_FIELD.pattern})%\(\w+\)")
NO_ITEM = "-"
MADE_INTO_TEXT = dict.fromkeys(("args", "exc_info", "exc_text", "stack_info"))


class Runner(Protocol):
    """Does the items of a process, one at a time."""

    @property
    def key(self) -> str:
        """The current item's key; empty between items."""


class _Nothing:
    key = ""


_runner: Runner = _Nothing()


def show_items_of(runner: Runner) -> None:
    """Add the key of ``runner``'s current item to each record of this process from now on."""
    global _runner  # noqa: PLW0603 - one for each process
    _runner = runner


class SafeFormatter(logging.Formatter):
    """Formats every record, also one whose arguments do not fit or cannot be shown."""

    def line(self, record: logging.LogRecord) -> bytes:
        """Return the record as one line of the wire; what UTF-8 cannot hold is escaped."""
        return wire_line(self.format(record))

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text."""
        kept = record.exc_text
        try:
            return super().format(record)
        except Exception as error:  # the logged objects' own code, which may raise anything
            return self._repaired(repaired(record, error))
        finally:
            record.exc_text = kept  # or others would show this text instead of making their own

    def _repaired(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception:  # a layout that asks for numbers where there are none
            return "\n".join(filter(None, (record.levelname, record.msg, record.exc_text)))


class LineFormatter(SafeFormatter):
    """The text format: one line a record, its own line breaks marked, controls made visible."""

    def __init__(self, layout: str) -> None:
        """Format with ``layout``, in %-style."""
        # A record that lacks a field of the layout, one that extra= gives to others, shows a dash.
        names = FIELD.findall(layout)
        super().__init__(layout, defaults=dict.fromkeys(names, "-"))
        self.has_time, self.has_item = self.usesTime(), bool(ITEM_FIELD.search(layout))
        self.layout, self.values = layout, attrgetter("__dict__")
        names = FIELD.findall(ITEM_FIELD.sub("", layout))
        if len(names) > 1 and "%%" not in layout:  # in their order, which takes less than by name
            self.layout, self.values = UNNAMED.sub("%", layout), attrgetter(*names)
        self.at: tuple[str | None, str] = None, ""
        """The last key put into the layout, and the resulting layout. One tuple, so that threads
        never see half an update."""
        self.now = -1, -1.0, "", ""
        """The last formatted time: second, milliseconds, text of the second and text of both. One
        tuple, so that threads never see half an update."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text."""
        return file_text(self.line(record))[:-1].decode()

    def line(self, record: logging.LogRecord) -> bytes:
        """Return the record as one line of the wire, in half the time."""
        has_more = record.exc_info or record.exc_text or record.stack_info
        if has_more or type(record).getMessage is not GET_MESSAGE:
            text = super().format(self.with_item(record))
        else:
            try:  # what logging.Formatter does for a record without exception, in half the time
                message = record.msg if type(record.msg) is str else str(record.msg)
                record.message = message % record.args if record.args else message
                if self.has_time:
                    second, milliseconds, _, stamp = self.now
                    known = milliseconds == record.msecs and second <= record.created < second + 1
                    record.asctime = stamp if known else self.formatTime(record)
                layout = self.layout
                if self.has_item:
                    key, with_key = self.at
                    layout = with_key if key == _runner.key else self.layout_with(item_of(record))
                text = layout % self.values(record)
            except Exception:  # the logged objects' own code, or a layout with fields of its own
                text = super().format(self.with_item(record))
        if text.isascii() and (raw := text.encode()).translate(VISIBLE) is raw:
            return raw + b"\n"  # found out in a quarter of the time that isprintable takes
        return wire_line(text if text.isprintable() else one_record(text))

    def with_item(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return a copy of a record that tells its item as the layout shows it."""
        field = ITEM_FIELD.search(self._fmt or "")
        if not field:
            return record
        shown = shown_key(field, item_of(record)).strip()
        return _record_of({**record.__dict__, ITEM: shown}, type(record))

    def layout_with(self, key: str) -> str:
        """Return the layout with an item's key in place; most records are of the same as before."""
        known, layout = self.at
        if known != key:
            layout = ITEM_FIELD.sub(lambda field: _filled(field, key), self.layout)
            self.at = key, layout
        return layout

    def formatTime(  # noqa: N802 - logging's own name
        self, record: logging.LogRecord, _datefmt: str | None = None
    ) -> str:
        """Return the time with milliseconds; each is made into text once, and so is a second."""
        second, _, stamp, _ = self.now
        if second != int(record.created):
            second = int(record.created)
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        text = f"{stamp},{int(record.msecs):03d}"
        self.now = second, record.msecs, stamp, text
        return text


def check_layout(layout: str) -> None:
    """Try a layout on a record.

    Raises:
        TypeError, ValueError: It fits none.
    """
    names = dict.fromkeys(FIELD.findall(layout), "-")
    logging.Formatter(layout, defaults=names).format(logging.makeLogRecord({}))


class JsonLineFormatter(SafeFormatter):
    """The JSON format: one object a line, in which the record's own fields keep their names."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line of strict JSON."""
        try:
            return self._usual(record) or self._text(record)
        except Exception as error:  # the logged objects' own code, which may raise anything
            return self._text(repaired(record, error))

    def _usual(self, record: logging.LogRecord) -> str | None:
        """Return what ``_text`` does, in a quarter of the time; None if there are more fields."""
        if type(record.msg) is not str or record.exc_info or record.exc_text or record.stack_info:
            return None
        if type(record).getMessage is not GET_MESSAGE:
            return None
        if not (record.__dict__.keys() <= RESERVED and 0 < record.created < FAR_FUTURE):
            return None
        try:
            message = record.msg % record.args if record.args else record.msg
            created, level, name = record.created, QUOTE(record.levelname), QUOTE(record.name)
            process, pid = QUOTE(record.processName), record.process
            item = f', "item": {QUOTE(key)}' if (key := _runner.key) else ""
            text = QUOTE(message)
            return USUAL % (float.__repr__(created), level, name, process, pid, text, item)
        except Exception:  # one of them is of another type, or the arguments do not fit
            return None

    def _text(self, record: logging.LogRecord) -> str:
        others = record.msg.copy() if isinstance(record.msg, dict) else {}
        message = others.pop("message", "") if isinstance(record.msg, dict) else record.getMessage()
        fields = {
            "time": record.created,
            "level": record.levelname,
            "logger": record.name,
            "process": record.processName,
            "pid": record.process,
            "message": message if type(message) is str else json_value(message),
        }
        if _runner.key:
            fields[ITEM] = _runner.key
        if text := exception_text(record):
            fields["exc_info"] = text
        if record.stack_info:
            fields["stack_info"] = record.stack_info
        for name, value in others.items():
            add_field(fields, name, json_value(value))
        for name, value in record.__dict__.items():
            if name not in RESERVED:
                add_field(fields, name, json_value(value))
        return ENCODE(fields)


MESSAGE = SafeFormatter("%(message)s")


def item_of(record: logging.LogRecord) -> str:
    """Return the key of this process's current item, or else the one in the record."""
    return _runner.key or str(record.__dict__.get(ITEM, NO_ITEM))


def shown_key(field: re.Match[str], key: str) -> str:
    """Return a key as a field of a layout shows it: the character after the field is escaped."""
    end = field.string[field.end() : field.end() + 1]
    escaped = key.replace(end, f"\\x{ord(end):02x}") if end not in ("", "%") else key
    return f"%{field[1]}" % escaped


def _filled(field: re.Match[str], key: str) -> str:
    return shown_key(field, key).replace("%", "%%")


def one_record(text: str) -> str:
    """Mark a text's line breaks as its own, and make control characters visible."""
    escaped = text.replace("\r\n", "\n").translate(ESCAPES)
    return escaped.replace("\n", CONTINUATION)


def snapshot(record: logging.LogRecord) -> logging.LogRecord:
    """Return a copy with formatted text, and without values that may change or fail to pickle."""
    fields = {**record.__dict__, **MADE_INTO_TEXT}
    if _runner.key:
        theirs, fields[ITEM] = fields.get(ITEM), _runner.key
        if theirs is not None:
            add_field(fields, ITEM, theirs)
    if isinstance(record.msg, dict):
        fields["msg"], fields["exc_text"] = json_value(record.msg), exception_text(record)
        fields["stack_info"] = record.stack_info
    else:
        fields["msg"] = fields["message"] = MESSAGE.format(record)
    for name, value in fields.items():
        if type(value) not in ATOMS:
            fields[name] = json_value(value)
    return _record_of(fields)


def repaired(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    """Return a copy of a record that cannot fail to format, and says why the first one did."""
    arguments = record.args if isinstance(record.args, tuple) else (record.args,)
    shown = ", ".join(map(text_of, arguments or ()))
    reason = f"{type(error).__name__}: {text_of(error, str)}"
    message = f"{text_of(record.msg, str)} [with {shown or 'no arguments'}: {reason}]"
    made = {"msg": message, "args": None, "exc_info": None, "exc_text": exception_text(record)}
    kept = {
        name: value if type(value) in ATOMS else text_of(value)
        for name, value in record.__dict__.items()
    }
    return _record_of(kept | made)


def exception_text(record: logging.LogRecord) -> str | None:
    """Return a record's exception as text, whatever it does to hinder it."""
    if not record.exc_info:
        return record.exc_text
    with suppress(Exception):
        return logging.Formatter().formatException(record.exc_info)
    return f"<{type(record.exc_info[1]).__name__} whose traceback cannot be shown>"


def _record_of(
    fields: dict[str, Any], kind: type[logging.LogRecord] = logging.LogRecord
) -> logging.LogRecord:
    """Make a record from its attributes, without looking up its caller again."""
    made = object.__new__(kind)
    made.__dict__ = fields
    return made
