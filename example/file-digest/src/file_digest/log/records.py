"""Make log records with all fields of the standard library, in less time.

The caller is looked up without a function call for each frame; the process's id and the parts of a
path are cached. Every field is as ``logging`` itself fills it in, so any handler can use it.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Mapping
from multiprocessing import process
from typing import Any

LOGGING = logging.Logger.info.__code__.co_filename
FIND_CALLER = logging.Logger.findCaller
HAS_TASKS = sys.version_info >= (3, 12)
ATOMS = {int, str, float, bool, type(None)}
"""Types that are no Mapping: asking ``isinstance`` takes as long as all else about arguments."""
MOST_PATHS = 1_000
_first: Any = logging.LogRecord("", 0, "", 0, "", (), None)
STARTED = int(_first.created * 1e9 - _first.relativeCreated * 1e6)
"""Time at which logging was imported, in nanoseconds since the epoch."""

_get_frame, _new, _now = sys._getframe, object.__new__, time.time_ns  # noqa: SLF001 - as logging
_levels: dict[Any, str] = logging._levelToName  # noqa: SLF001 - as above
_local = threading.local()
_names: dict[str, tuple[str, str]] = {}
"""Path to file and module name."""
_process_id = os.getpid()


def install() -> None:
    """Make this process's records here, unless somebody has a factory of their own."""
    patched: Any = logging.Logger
    patched.findCaller = find_caller
    if logging.getLogRecordFactory() is logging.LogRecord:
        logging.setLogRecordFactory(make_record)


def find_caller(
    logger: logging.Logger, stack_info: bool = False, stacklevel: int = 1
) -> tuple[str, int, str, str | None]:
    """Return file, line and function of a log call, and its stack; see ``Logger.findCaller``."""
    if stacklevel == 1 and not stack_info and type(logger) is logging.Logger:
        # Here, Logger._log, Logger.info or the like, and who called that: nearly always.
        try:
            frame: Any = _get_frame(2)
            if frame.f_code.co_filename == LOGGING and (frame := frame.f_back):
                code = frame.f_code
                if (path := code.co_filename) != LOGGING and "_bootstrap" not in path:
                    return path, frame.f_lineno, code.co_name, None
        except ValueError:  # there are not so many
            pass
    # This frame counts as one, unless none is to be counted.
    return FIND_CALLER(logger, stack_info, stacklevel + 1 if stacklevel > 0 else stacklevel)


def make_record(  # noqa: PLR0913, PLR0917 - a record factory's arguments, all in place
    name: str,
    level: int,
    pathname: str,
    lineno: int,
    msg: object,
    args: Any,
    exc_info: Any,
    func: str | None = None,
    sinfo: str | None = None,
    **others: Any,
) -> logging.LogRecord:
    """Return what ``logging.LogRecord`` makes of the same arguments."""
    if not (logging.logThreads and logging.logProcesses and logging.logMultiprocessing):
        return logging.LogRecord(
            name, level, pathname, lineno, msg, args, exc_info, func, sinfo, **others
        )
    now = _now()
    if args and len(args) == 1 and type(args[0]) not in ATOMS:
        args = args[0] if isinstance(args[0], Mapping) and args[0] else args
    record: Any = _new(logging.LogRecord)
    record.name, record.msg, record.args = name, msg, args
    record.levelname = _levels[level] if level in _levels else logging.getLevelName(level)
    record.levelno, record.pathname = level, pathname
    record.filename, record.module = _names[pathname] if pathname in _names else _names_of(pathname)
    record.exc_info, record.exc_text, record.stack_info = exc_info, None, sinfo
    record.lineno, record.funcName = lineno, func
    record.created, record.msecs = now / 1e9, now // 1_000_000 % 1000 + 0.0
    record.relativeCreated = (now - STARTED) / 1e6
    try:
        record.thread, thread = _local.here
    except AttributeError:
        record.thread, thread = _local.here = threading.get_ident(), threading.current_thread()
    record.threadName = thread.name
    record.processName = process._current_process.name  # type: ignore[attr-defined] # noqa: SLF001 - saves a call
    record.process = _process_id
    if HAS_TASKS:
        record.taskName = _task_name()
    made: logging.LogRecord = record
    return made


def _names_of(pathname: str) -> tuple[str, str]:
    if len(_names) >= MOST_PATHS:  # of code that is made up as it goes
        _names.clear()
    name = os.path.basename(pathname)
    return _names.setdefault(pathname, (name, os.path.splitext(name)[0]))


def _task_name() -> str | None:
    """Return the running task's name; to ask where no loop runs would raise, which takes long."""
    asyncio, flags = sys.modules.get("asyncio"), vars(logging)
    if not asyncio or not flags["logAsyncioTasks"] or not asyncio._get_running_loop():  # noqa: SLF001
        return None
    task = asyncio.current_task()
    return task.get_name() if task else None


def _in_forked_child() -> None:
    global _process_id  # noqa: PLW0603 - one for each process
    _process_id = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_forked_child)
