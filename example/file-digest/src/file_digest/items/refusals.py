"""Tell errors of ``items()`` about its inputs from bugs, and find where in the job they arose."""

import logging
import opcode
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from .. import PACKAGE
from ..system.errors import RefusedError, describe, name_of
from ..system.text import text_of
from .messages import ContractError, ItemsError

log = logging.getLogger(__name__)

JOB = f"{PACKAGE}.job"
OURS = {f"{PACKAGE}.items.source", f"{PACKAGE}.items.payloads"}


def is_refusal(error: BaseException) -> bool:
    """Whether an error means that the inputs are wrong.

    An OSError that names a file does, and any OSError or ValueError that the job raises itself.
    What Python or a library raises deeper down, such as ``int("x")``, is as likely a bug.
    """
    try:
        _ = str(error)
    except BaseException:  # the owner's class; the log is to show where
        return False
    if isinstance(error, OSError) and error.filename:
        return True
    if isinstance(error, (ConnectionError, TimeoutError)):
        return False  # others are to blame, and may do better the next time
    return isinstance(error, (OSError, ValueError)) and _is_raised_by_job(error)


def refusal(error: BaseException) -> str:
    """Return the message of a refusal, as one line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return " ".join(f"{text_of(error.filename, str)}: {error.strerror}".split())
    return " ".join(text_of(error, str).split())


def failure(error: BaseException) -> str:
    """Return the error of ``items()`` and its place in the code, as one line."""
    if isinstance(error, ContractError):
        return str(error)
    return f"items() raised {name_of(error)}{_place(error)}"


def _is_raised_by_job(error: BaseException) -> bool:
    *_, (frame, last, _) = _steps(error)
    code = frame.f_code.co_code
    statement = opcode.opname[code[last]] if 0 <= last < len(code) else ""
    return _module(frame) == JOB and statement == "RAISE_VARARGS"


def items_error(error: BaseException, *, refused: bool) -> RefusedError | ItemsError:
    """Log an error of ``job.items``, with its traceback; return the error for the command line.

    Args:
        error: What it raised.
        refused: Whether it did so because of its inputs, before its first item.
    """
    log.error("items() raised:\n%s", describe(error))
    return RefusedError(refusal(error)) if refused else ItemsError(failure(error))


def _place(error: BaseException) -> str:
    """Return the last line of the job, or else of its libraries, that an error came through."""
    steps = [step for step in _steps(error) if _module(step[0]) not in OURS]
    within = [step for step in steps if _module(step[0]) == JOB] or steps
    if not within:
        return ""
    frame, _, line = within[-1]
    return f" ({Path(frame.f_code.co_filename).name}, line {line})"


def _steps(error: BaseException) -> Iterator[tuple[FrameType, int, int]]:
    """Yield frame, instruction and line of each step of a traceback."""
    at = error.__traceback__
    while at:
        yield at.tb_frame, at.tb_lasti, at.tb_lineno
        at = at.tb_next


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))
