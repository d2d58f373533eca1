"""Errors as text: whatever is raised is named by its type and the first line of its message."""

import traceback
from collections.abc import Callable

import pytest

from file_digest.results.reading import summarize
from file_digest.system.errors import (
    describe,
    error_name,
    name_of,
)

from .support.service import Service


class ManyLinesError(Exception):
    """As pydantic's: the message has many lines, some of them not indented."""

    def __str__(self) -> str:
        """Return them."""
        return "2 validation errors for Model\nx\n  Input should be an integer\n    see https://x.y"


class HostileError(Exception):
    """One whose text cannot be made, in the worst way."""

    def __str__(self) -> str:
        """Leave."""
        raise SystemExit("no")


def plain() -> None:
    raise ValueError("bad 1")


def with_notes() -> None:
    error = KeyError("user")
    error.add_note("while reading row 7\nTraceback (most recent call last):\nFake: note")
    raise error


def caused() -> None:
    raise RuntimeError("outer") from KeyError("inner")


def while_handling() -> None:
    try:
        plain()
    except ValueError:
        raise OSError(2, "No such file", "x") from KeyError("k")


def group() -> None:
    raise ExceptionGroup("two things", [ValueError("bad 1"), ExceptionGroup("in", [OSError(1)])])


def group_caused_by_a_group() -> None:
    try:
        group()
    except ExceptionGroup as error:
        raise ExceptionGroup("outer", [RuntimeError("x")]) from error


def error_caused_by_a_group() -> None:
    try:
        group()
    except ExceptionGroup as error:
        raise RuntimeError("after a group") from error


def group_with_notes() -> None:
    error = ExceptionGroup("noted", [ValueError(1)])
    error.add_note("Traceback (most recent call last):\nno: this")
    raise error


def quoting_a_traceback() -> None:
    try:
        plain()
    except ValueError:
        raise RuntimeError("the child failed:\n" + traceback.format_exc()) from None


def quoting_a_chain() -> None:
    try:
        caused()
    except RuntimeError:
        raise LookupError("it said:\n" + traceback.format_exc() + "the end") from None


def broken_syntax() -> None:
    compile("x = = 1", "job.py", "exec")


def without_end() -> None:
    without_end()


def raising(error: BaseException) -> Callable[[], None]:
    def throw() -> None:
        raise error

    return throw


NAMES: dict[str, tuple[Callable[[], None], str]] = {
    "plain": (plain, "ValueError: bad 1"),
    "notes": (with_notes, "KeyError: 'user'"),
    "a cause": (caused, "RuntimeError: outer"),
    "a context": (while_handling, "FileNotFoundError: [Errno 2] No such file: 'x'"),
    "a group": (group, "ExceptionGroup: two things (2 sub-exceptions)"),
    "a group with notes": (group_with_notes, "ExceptionGroup: noted (1 sub-exception)"),
    "groups in a chain": (group_caused_by_a_group, "ExceptionGroup: outer (1 sub-exception)"),
    "a group as cause": (error_caused_by_a_group, "RuntimeError: after a group"),
    "many lines": (
        raising(ManyLinesError()),
        f"{__name__}.ManyLinesError: 2 validation errors for Model",
    ),
    "a quoted traceback": (quoting_a_traceback, "RuntimeError: the child failed:"),
    "a quoted chain": (quoting_a_chain, "LookupError: it said:"),
    "no message": (raising(ValueError("")), "ValueError"),
    "no arguments": (raising(ValueError()), "ValueError"),
    "blank lines first": (raising(ValueError("\n\n  the text\nmore")), "ValueError: the text"),
    "nothing but blanks": (raising(ValueError("\n \n")), "ValueError"),
    "indented lines": (raising(ValueError("a\n  b\n\nc\n")), "ValueError: a"),
    "a line separator": (raising(ValueError("a\u2028b")), "ValueError: a"),
    "like a frame": (raising(ValueError('  File "x", line 1')), 'ValueError: File "x", line 1'),
    "syntax": (broken_syntax, "SyntaxError: invalid syntax (job.py, line 1)"),
    "an exit": (raising(SystemExit(3)), "SystemExit: 3"),
    "Ctrl-C": (raising(KeyboardInterrupt()), "KeyboardInterrupt"),
    "recursion": (without_end, "RecursionError: maximum recursion depth"),
    "hostile": (raising(HostileError()), f"{__name__}.HostileError"),
}


@pytest.mark.parametrize(("fault", "name"), NAMES.values(), ids=list(NAMES))
def test_an_error_is_named_by_its_type_and_first_line(fault: Callable[[], None], name: str) -> None:
    """From the exception and from its text alike, in which the traceback is."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - each its own
        fault()
    text = describe(caught.value)
    assert error_name(text) == name_of(caught.value)
    assert error_name(text).startswith(name)
    assert "\n" not in error_name(text)
    assert "HostileError" in text or "Traceback (most recent call last)" in text


STORED = {
    "worker died: SIGKILL": "worker died: SIGKILL",
    "timed out after 2 s": "timed out after 2 s",
    "payload cannot be sent to a worker: Traceback (most recent call last):\n"
    '  File "/x.py", line 1, in f\n    dumps(x)\nTypeError: cannot pickle': (
        "payload cannot be sent to a worker: TypeError: cannot pickle"
    ),
    "": "",
    "\n": "",
    # Of Python 3.11 to 3.13: marks below the code, calls over several lines, repeated frames.
    "Traceback (most recent call last):\n"
    '  File "/job.py", line 8, in work\n    return f(\n           ^^\n        1,\n        ^^\n'
    "    )\n    ^\n"
    '  File "/job.py", line 4, in f\n    f(x)\n    ~^^^\n'
    "  [Previous line repeated 975 more times]\n"
    "RecursionError: maximum recursion depth exceeded": (
        "RecursionError: maximum recursion depth exceeded"
    ),
    "Traceback (most recent call last):\n"
    '  File "/job.py", line 8, in work\n    raise Multi\n'
    "job.Multi: 1 error\nx\n  Input should be valid": "job.Multi: 1 error",
    "  + Exception Group Traceback (most recent call last):\n"
    '  |   File "/job.py", line 8, in work\n  |     raise e\n'
    "  | ExceptionGroup: both (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n"
    "    | Traceback (most recent call last):\n    |   ...\n    | ValueError: bad\n"
    "    +------------------------------------": "ExceptionGroup: both (2 sub-exceptions)",
    "Traceback (most recent call last):\n  ...\nKeyError: 1\n\n"
    "During handling of the above exception, another exception occurred:\n\n"
    "Traceback (most recent call last):\n  ...\nTypeError: 2": "TypeError: 2",
    "Traceback (most recent call last):": "Traceback (most recent call last):",
    '  File "/job.py", line 3\n    x = = 1\n        ^\nSyntaxError: invalid syntax': (
        "SyntaxError: invalid syntax"
    ),
}


@pytest.mark.parametrize(("text", "name"), STORED.items())
def test_what_a_journal_holds_is_named(text: str, name: str) -> None:
    """Reasons that are no exception, and tracebacks that an earlier version stored."""
    assert error_name(text) == name


def test_errors_are_told_by_their_names(service: Callable[..., Service]) -> None:
    """In the log and in status; nothing of the owner's commands the terminal."""
    one = service("odd_errors")
    assert one.run("--workers", "1").code == 1
    status = one.command("status", "--results", str(one.results)).stdout
    names = set(summarize(one.results).errors)
    expected = {
        "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)",
        "KeyError: 'note'",
        r"KeyError: 'escape\x1b[2J'",
    }
    assert expected < names
    assert any(name.endswith(".job.ManyError: 1 error") for name in names)
    assert any(name.startswith("payload cannot be sent to a worker: ") for name in names)
    assert len(names) == len(status.splitlines()) - 1 == 5
    assert all(f"1 x {name}" in status for name in names)
    assert all(f"failed: {name}" in one.log_text() for name in names)
    assert "\x1b" not in status + one.log_text()
    assert "unhandled errors" in one.outcomes()["group"]["error"]


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ("x = = 1", r"SyntaxError: invalid syntax (job.py, line 1)"),
        ("import nothing_there", "ModuleNotFoundError: No module named 'nothing_there'"),
        ("raise ExceptionGroup('both', [ValueError(1)])", "ExceptionGroup: both (1 sub-exception)"),
        ("raise ValueError('one\\n\\x1b[2Jtwo')", "ValueError: one"),
        ("raise ValueError('\\x1b[2Jred')", r"ValueError: \x1b[2Jred"),
    ],
)
def test_why_a_job_cannot_be_imported_is_one_line(
    service: Callable[..., Service], job: str, reason: str
) -> None:
    """Exit code 3, and its name on standard error."""
    finished = service(f"{job}\n").run()
    assert finished.code == 3
    assert finished.stderr == f"Error: workers cannot start: {reason}\n"
