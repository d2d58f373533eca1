"""Log records that collect only what the format asks for.

As https://docs.python.org/3/howto/logging.html#optimization has it: where a call was made from,
and in which thread, costs more to find out than the rest of a record together.
"""

import logging
import multiprocessing
import os
import threading
import time
from collections.abc import Mapping
from typing import Any

CALLER = ("pathname", "filename", "module", "lineno", "funcName")
THREAD = ("threadName", "taskName")
ATOMS = {int, str, float, bool, type(None)}
"""To ask of one of these whether it is a Mapping takes as long as all else about arguments."""
FIND_CALLER = logging.Logger.findCaller
STARTED = time.time()


class LeanRecord(logging.LogRecord):
    """A LogRecord with the process's name and id known beforehand, and thread names left out.

    All attributes are there, so other handlers can format them; those left out are None or 0.
    """

    process_id = os.getpid()
    process_name = "MainProcess"
    names: dict[str, tuple[str, str]] = {}  # noqa: RUF012 - shared: path to file and module name

    def __init__(  # noqa: PLR0913, PLR0917 - a record factory's arguments, all in place
        self,
        name: str,
        level: int,
        pathname: str,
        lineno: int,
        msg: object,
        args: Any,
        exc_info: Any,
        func: str | None = None,
        sinfo: str | None = None,
        **_: Any,
    ) -> None:
        """Take what a logger gives; see logging.LogRecord."""
        now = time.time()
        if args and len(args) == 1 and type(args[0]) not in ATOMS:
            args = args[0] if isinstance(args[0], Mapping) and args[0] else args
        self.name, self.msg, self.args = name, msg, args
        self.levelno, self.levelname = level, logging.getLevelName(level)
        self.pathname, self.lineno, self.funcName = pathname, lineno, func or ""
        self.filename, self.module = self.names.get(pathname) or self._names_of(pathname)
        self.exc_info, self.exc_text, self.stack_info = exc_info, None, sinfo
        self.created, self.msecs = now, now % 1 * 1000
        self.relativeCreated = (now - STARTED) * 1000
        self.thread, self.threadName, self.taskName = threading.get_ident(), None, None
        self.process, self.processName = self.process_id, self.process_name

    def _names_of(self, pathname: str) -> tuple[str, str]:
        name = os.path.basename(pathname)
        return self.names.setdefault(pathname, (name, name.removesuffix(".py")))


def collect_for(layout: str) -> None:
    """Have this process's records collect what ``layout`` names, and no more.

    Args:
        layout: A format in ``logging``'s %-style.
    """
    wants_caller = any(f"%({field})" in layout for field in CALLER)
    wants_thread = any(f"%({field})" in layout for field in THREAD)
    # Not by logging._srcfile = None, as the HOWTO has it: that loses what stack_info=True asks for.
    find_caller: Any = FIND_CALLER if wants_caller else _find_no_caller
    logging.Logger.findCaller = find_caller  # type: ignore[method-assign] # see above
    logging.setLogRecordFactory(logging.LogRecord if wants_thread else LeanRecord)
    LeanRecord.process_name = multiprocessing.current_process().name
    LeanRecord.process_id = os.getpid()


def _find_no_caller(
    logger: logging.Logger, stack_info: bool = False, stacklevel: int = 1
) -> tuple[str, int, str, str | None]:
    if stack_info:
        return FIND_CALLER(logger, stack_info, stacklevel + 1)
    return "(unknown file)", 0, "(unknown function)", None


def _in_forked_child() -> None:
    LeanRecord.process_id = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
