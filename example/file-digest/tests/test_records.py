"""A record holds exactly what the standard library gives it, field by field."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from file_digest.log import records

FIND_CALLER = records.FIND_CALLER
log = logging.getLogger("records under test")
Call = Callable[[logging.Logger], None]


class Kept(logging.Handler):
    """Keeps the last record."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.last = record


class Mine(logging.Logger):
    """A logger with methods of its own, as many a library has one."""

    def trace(self, message: str) -> None:
        """Log by the inner method."""
        self._log(logging.ERROR, message, ())

    def wrapped(self, message: str) -> None:
        """Log as the caller of this."""
        self.error(message, stacklevel=2)


def wrapper(logger: logging.Logger) -> None:
    """Log by way of another function."""
    logger.error("wrapped", stacklevel=2)


def in_task(logger: logging.Logger) -> None:
    """Log in a task of an event loop."""

    async def log_it() -> None:
        await asyncio.sleep(0)
        logger.error("in a task")

    async def run() -> None:
        await asyncio.create_task(log_it(), name="a task")

    asyncio.run(run())


def in_thread(logger: logging.Logger) -> None:
    """Log in a thread, called by the threading module itself."""
    thread = threading.Thread(target=logger.error, args=("in a thread",), name="a thread")
    thread.start()
    thread.join()


def failing(logger: logging.Logger) -> None:
    """Log an exception."""
    try:
        int("no")
    except ValueError:
        logger.exception("it failed")


CALLS: list[Call] = [
    lambda logger: logger.error("plain"),
    lambda logger: logger.error("%s and %s", 1, "two"),
    lambda logger: logger.error("%(a)s", {"a": 1}),
    lambda logger: logger.error("%s", {}),
    lambda logger: logger.error("%s", (1, 2)),
    lambda logger: logger.log(17 + 30, "a level without a name"),
    lambda logger: logger.error("above", stacklevel=2),
    lambda logger: logger.error("far above", stacklevel=3),
    lambda logger: logger.error("beyond", stacklevel=1000),
    lambda logger: logger.error("none", stacklevel=0),
    lambda logger: logger.error("stack", stack_info=True),
    lambda logger: logger.error("stack above", stack_info=True, stacklevel=2),
    lambda logger: logger.error("extra", extra={"more": 1}),
    lambda logger: logging.LoggerAdapter(logger, {}).error("adapted"),
    wrapper,
    lambda logger: logger._log(logging.ERROR, "inner", ()),
    in_task,
    in_thread,
    failing,
]
TIMES = {"created", "msecs", "relativeCreated"}


@pytest.fixture(params=[logging.Logger, Mine])
def both(request: pytest.FixtureRequest) -> Iterator[Callable[[Call], list[dict[str, Any]]]]:
    """Log a call twice: as the standard library does, and as we do; return both records."""
    factory, logger, kept = logging.getLogRecordFactory(), request.param("one"), Kept()
    logger.addHandler(kept)

    def run(call: Call) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for ours in (False, True):
            logging.Logger.findCaller = records.find_caller if ours else FIND_CALLER  # type: ignore[method-assign,assignment]
            logging.setLogRecordFactory(records.make_record if ours else logging.LogRecord)
            call(logger)
            found.append({**vars(kept.last)})
        return found

    yield run
    logging.setLogRecordFactory(factory)
    logging.Logger.findCaller = FIND_CALLER  # type: ignore[method-assign]


@pytest.mark.parametrize("call", CALLS)
def test_each_field_is_as_the_standard_library_has_it(
    both: Callable[[Call], list[dict[str, Any]]], call: Call
) -> None:
    """By any way of logging: file, line, function, thread, task, process, stack, arguments."""
    theirs, ours = both(call)
    assert list(ours) == list(theirs) or set(ours) == set(theirs)
    for name in theirs.keys() - TIMES - {"exc_info", "thread"}:
        assert ours[name] == theirs[name], name
    assert [type(ours[name]) for name in TIMES] == [type(theirs[name]) for name in TIMES]
    assert 0 <= ours["relativeCreated"] - theirs["relativeCreated"] < 60_000
    assert ours["msecs"] == int(ours["created"] * 1000 % 1000)


@pytest.mark.parametrize("name", ["trace", "wrapped"])
def test_methods_of_a_logger_of_ones_own_are_who_logs(name: str) -> None:
    """As with the standard library: the method itself, or its caller if it says so."""
    logger, kept = Mine("one"), Kept()
    logger.addHandler(kept)
    found = []
    for find_caller in (FIND_CALLER, records.find_caller):
        logger.findCaller = find_caller.__get__(logger)  # type: ignore[method-assign]
        getattr(logger, name)("m")
        found.append((kept.last.filename, kept.last.funcName))
    assert found[0] == found[1]
