"""A record becomes one record of text, whatever was logged."""

import json
import logging
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from file_digest.log.formats import (
    MESSAGE,
    JsonLineFormatter,
    LineFormatter,
    one_record,
    repaired,
)
from file_digest.settings import TEXT_LAYOUT
from file_digest.system.text import text_of

NAMED = "Unshowable (cannot be shown: RuntimeError)"
START = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} MainProcess +INFO +")


class Unshowable:
    """Raises when it is to be shown."""

    def __str__(self) -> str:
        """Raise."""
        raise RuntimeError("no text")

    __repr__ = __str__


def make(message: Any, *args: Any, **fields: Any) -> logging.LogRecord:
    """Return a record."""
    record = logging.LogRecord("name", logging.INFO, "path", 1, message, args, None)
    record.__dict__.update(fields)
    return record


@given(st.text())
def test_any_text_is_one_record_that_nobody_can_forge(text: str) -> None:
    """Its first line alone looks like a record; all others carry the mark."""
    first, *others = LineFormatter(TEXT_LAYOUT).format(make("%s", text)).split("\n")
    assert START.match(first)
    assert all(other.startswith("  | ") for other in others)
    assert "\n".join([first, *others]).splitlines() == [first, *others]


@given(st.text())
def test_any_text_survives_json(text: str) -> None:
    """One line, from which json reads the very text."""
    line = JsonLineFormatter().format(make("%s", text))
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["message"] == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 🎉", "plain ü 🎉"),
        ("tab\tstays", "tab\tstays"),
        ("a\nb\r\nc", "a\n  | b\n  | c"),
        ("a\rb", r"a\x0db"),
        ("\x00\x07\x1b[0m\x7f\x85", r"\x00\x07\x1b[0m\x7f\x85"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
    ],
)
def test_control_characters_are_made_visible(text: str, shown: str) -> None:
    """Control characters are shown as escapes; line breaks are marked as the record's own."""
    assert one_record(text) == shown


@pytest.mark.parametrize("formatter", [LineFormatter("%(message)s"), JsonLineFormatter(), MESSAGE])
@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (make("%s %s", 1), "%s %s [with 1: TypeError: not enough arguments"),
        (make("none", 1), "none [with 1: TypeError: not all arguments"),
        (make("%d", "x"), "%d [with 'x': TypeError"),
        (make("%(a)s", {"b": 1}), "%(a)s [with {'b': 1}: KeyError"),
        (make("%s", Unshowable()), f"%s [with {NAMED}: RuntimeError"),
        (make(Unshowable()), f"{NAMED} [with no arguments: RuntimeError"),
    ],
    ids=["too few", "too many", "wrong type", "wrong key", "unshowable", "unshowable message"],
)
def test_a_record_that_does_not_format_is_shown_with_the_reason(
    formatter: logging.Formatter, record: logging.LogRecord, expected: str
) -> None:
    """Message, arguments and error are all in the log."""
    assert expected in formatter.format(record)


def test_a_repaired_record_keeps_its_traceback() -> None:
    """A traceback in a record is kept although the record itself fails to format."""
    error = ValueError("of the program")
    record = make("%s %s", 1, exc_info=(type(error), error, None))
    text = LineFormatter("%(message)s").format(record)
    assert "not enough arguments" in text
    assert "ValueError: of the program" in text
    assert repaired(record, TypeError()).levelname == "INFO"


def test_a_layout_with_a_field_that_records_lack_costs_no_record() -> None:
    """A missing field is a dash."""
    formatter = LineFormatter("%(request)s %(message)s")
    assert formatter.format(make("hello")) == "- hello"
    assert formatter.format(make("hello", request=7)) == "7 hello"


@pytest.mark.parametrize(
    ("extra", "field"),
    [({"where": "here"}, "here"), ({"n": 1}, 1), ({"n": [1, {"a": 2}]}, [1, {"a": 2}])],
)
def test_extra_fields_are_fields_of_the_json(extra: dict[str, Any], field: Any) -> None:
    """Fields of ``extra=`` are fields of the JSON record."""
    structured = json.loads(JsonLineFormatter().format(make("m", **extra)))
    assert structured[next(iter(extra))] == field
    assert structured["message"] == "m"


def test_seconds_change_with_the_records() -> None:
    """The text of a second is kept for the records of that second alone."""
    formatter = LineFormatter("%(asctime)s")
    texts = [formatter.format(make("m", created=at, msecs=at % 1 * 1000)) for at in (1.5, 1.75, 2)]
    assert [text[-6:] for text in texts] == ["01,500", "01,750", "02,000"]


def test_what_cannot_be_shown_is_named() -> None:
    """The name of its type stands for it."""
    assert text_of(Unshowable()) == NAMED
    assert text_of("a") == "'a'"
