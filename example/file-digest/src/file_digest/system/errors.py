"""Errors of the workers' engine, and any error as text.

A text that ``describe`` makes either begins with the error's name, or is a traceback from which
``error_name`` reads just that name: the one line that tells it.
"""

import re
import traceback

TRACEBACK = re.compile(
    r"(payload cannot be sent to a worker: )?"
    r"(?:(?:  \+ Exception Group )?Traceback(?: \(most recent call last\):)?\n|  File )"
)
"""The beginning of a traceback, perhaps after the words that tell where it came from."""
CHAINED = re.compile(
    r"\n\n(?:The above exception was the direct cause of the following exception"
    r"|During handling of the above exception, another exception occurred):\n\n"
    r"(?=(?:  \+ Exception Group )?Traceback \(most recent call last\):\n)"
)
GROUP = "  | "
"""Begins the lines of an exception group's traceback that are about the group itself."""


class WorkersCannotStartError(Exception):
    """Workers died before they were ready, again and again; the message says why."""


class RefusedError(Exception):
    """The request cannot be carried out; the message is one line, and nothing was touched."""


class EngineRefusedError(RefusedError):
    """The requested engine is unusable, such as a cluster that nobody can reach."""


class ScaleError(Exception):
    """Nothing can be measured; the message is one line that says why."""


class EngineLostError(Exception):
    """The engine went away during the run; what was recorded is kept."""


def describe(error: BaseException) -> str:
    """Return an exception as text, with traceback and causes, even if its own methods raise."""
    first = error.__traceback__.tb_next if error.__traceback__ else None  # without our own frame
    name = name_of(error)
    try:
        text = "".join(traceback.format_exception(type(error), error, first)).rstrip("\n")
    except BaseException as trouble:  # its __str__, or a cause's, may raise anything
        return f"{name} (cannot be shown: {type(trouble).__name__})"
    # Notes, further lines and quoted tracebacks of others can hide the name: then it goes first.
    return text if error_name(text) == name else f"{name}\n{text}"


def name_of(error: BaseException) -> str:
    """Return an exception's type and the first line of its message, even if ``str()`` raises."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    try:
        message = str(error)
    except BaseException:  # the owner's code
        message = ""
    lines = message.strip().splitlines()
    return f"{name}: {lines[0].rstrip()}" if lines else name


def error_name(text: str) -> str:
    """Return the one line that names an error: its type and the first line of its message.

    Args:
        text: From ``describe``, or any other reason why an item failed or a worker did not start.
    """
    text = text.strip("\n")
    if not (begins := TRACEBACK.match(text)):
        return text.partition("\n")[0]
    lines = CHAINED.split(text.removeprefix(begins[1] or ""))[-1].split("\n")
    if lines[0].startswith("  + "):
        lines = [line.removeprefix(GROUP) for line in lines]
    unindented = (line for line in lines[1:] if line and not line[0].isspace())
    return (begins[1] or "") + next(unindented, lines[-1])
