"""Every record of a process goes to the one log, whatever is done with ``logging`` there.

The service's handler belongs to no logger: dictConfig, fileConfig, basicConfig(force=True),
removeHandler and shutdown have nothing to take away. Every record that is logged passes
``Logger.callHandlers``, and there the service comes first; handlers that the job or a library has
added to loggers follow, as usual. Five more things are changed for the same purpose:

- ``logging.config`` disables no logger; to set ``disabled`` by hand still does;
- the root logger's level is the service's;
- ``logging.disable`` does nothing;
- ``logging.info`` and the like do not add a handler for standard error of their own accord;
- no record goes to standard error because no logger has a handler.

While no handler is in use, all is as in the standard library.
"""

import logging
import sys
import threading
from collections.abc import Mapping
from typing import Any

CALL_HANDLERS = logging.Logger.callHandlers
BASIC_CONFIG = logging.basicConfig
DISABLE: Any = logging.Manager.disable


_handlers: tuple[logging.Handler, ...] = ()
"""The service's own handlers in this process."""
_root_level = logging.NOTSET


_calling = threading.local()


def install() -> None:
    """Replace the methods of ``logging`` that all records pass; before the job is imported.

    Others that do likewise, such as Sentry's and OpenTelemetry's integrations, then come on top.
    """
    patched: Any = logging
    if patched.basicConfig is BASIC_CONFIG:
        patched.basicConfig = _basic_config
        patched.Logger.callHandlers = _call_handlers
        patched.Logger.__setattr__ = _set_attribute
        patched.RootLogger.level = property(_level, _set_level)
        patched.Manager.disable = property(_disable, DISABLE.fset)


def use(*handlers: logging.Handler) -> tuple[logging.Handler, ...]:
    """Send every record of this process to these handlers, and return those before them.

    Their lowest level is the root logger's; they get each record that passes its logger's level.
    """
    global _handlers, _root_level  # noqa: PLW0603 - one of each for a process
    before, _handlers = _handlers, handlers
    _root_level = min((handler.level for handler in handlers), default=logging.NOTSET)
    root: Any = logging.getLogger()
    root.setLevel(root.__dict__["level"])  # has all loggers forget what they know of levels
    if not handlers:
        _reset_levels()
    return before


_levels: dict[str, tuple[int, int]] = {}
"""A logger's name to its level before ours, and ours."""


def set_levels(levels: Mapping[str, str]) -> None:
    """Set loggers' levels, each only once, also in a forked child: the job may change them."""
    for name, level in levels.items():
        if name not in _levels:
            logger = logging.getLogger(name)
            _levels[name] = logger.level, logging.getLevelNamesMapping()[level]
            logger.setLevel(level)


def level_for(name: str, usual: int) -> int:
    """Return the level that ``set_levels`` gave a logger, else ``usual``."""
    return _levels.get(name, (0, usual))[1]


def _reset_levels() -> None:
    """Restore the levels that nothing else has changed since."""
    for name, (before, ours) in _levels.items():
        if (logger := logging.getLogger(name)).level == ours:
            logger.setLevel(before)
    _levels.clear()


def _call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
    """Do what ``Logger.callHandlers`` does, after the service's own part."""
    if not (ours := _handlers):
        CALL_HANDLERS(logger, record)
        return
    for handler in ours:
        handler.handle(record)
    at: logging.Logger | None = logger
    while at is not None:
        if at.handlers:  # to iterate over an empty list takes four times as long as to look at it
            for handler in at.handlers:
                if record.levelno >= handler.level:
                    _call(handler, record)
        at = at.parent if at.propagate else None


def _call(handler: logging.Handler, record: logging.LogRecord) -> None:
    """Call a handler of the job; its error ends neither an item nor the run."""
    _calling.depth = depth = getattr(_calling, "depth", 0) + 1
    try:
        handler.handle(record)
    except Exception:
        handler.handleError(record)
    finally:
        _calling.depth = depth - 1


# Handlers of others find who logged by leaving out the frames of logging's own file, as loguru's
# recipe does: https://loguru.readthedocs.io/en/stable/overview.html
for _function in (_call_handlers, _call):
    _function.__code__ = _function.__code__.replace(co_filename=logging.__file__)


def calls_others() -> bool:
    """Whether this thread is in a handler that is not the service's."""
    return getattr(_calling, "depth", 0) > 0


def deliver(record: logging.LogRecord) -> None:
    """Send a record to the one log, and to no other handler."""
    if record.levelno >= _root_level:
        for handler in _handlers:
            handler.handle(record)


def _set_attribute(logger: logging.Logger, name: str, value: object) -> None:
    """Set an attribute, unless ``logging.config`` disables a logger by it.

    A property would do as well, and cost each record two calls.
    """
    if not (name == "disabled" and value and _caller() == "logging.config"):
        object.__setattr__(logger, name, value)


def _level(root: Any) -> int:
    return _root_level if _handlers else int(root.__dict__["level"])


def _set_level(root: Any, level: int) -> None:
    root.__dict__["level"] = level


def _disable(manager: Any) -> int:
    return logging.NOTSET if _handlers else int(DISABLE.fget(manager))


def _basic_config(**options: Any) -> None:
    """Do what ``logging.basicConfig`` does, unless ``logging.info`` and the like call it."""
    if options or not _handlers or _caller() != "logging":
        BASIC_CONFIG(**options)


def _caller() -> object:
    """Return the name of the module that calls what calls this."""
    return sys._getframe(2).f_globals.get("__name__")  # noqa: SLF001 - as logging itself does it
