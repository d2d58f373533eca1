"""The configurers: one handler for all loggers of a process, in the format that was asked for."""

import json
import logging
import pickle
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from file_digest.configurer import (
    LogFileHandler,
    LogSetup,
    configure_listener,
    configure_worker,
)
from file_digest.log import hooks
from file_digest.log.logfile import LogFile
from file_digest.settings import TEXT_LAYOUT, LogFormat


class Kept(logging.Handler):
    """Keeps formatted records."""

    def __init__(self) -> None:
        """Keep none yet."""
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.texts.append(self.format(record))


class Sender:
    """Hands out one handler."""

    def __init__(self) -> None:
        """Make it."""
        self.kept = Kept()

    def handler(self, formatter: logging.Formatter, _stall_seconds: float) -> logging.Handler:
        """Return it."""
        self.kept.setFormatter(formatter)
        return self.kept


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Put this process's logging back."""
    root, factory = logging.getLogger(), logging.getLogRecordFactory()
    before, level = root.handlers[:], root.level
    yield
    hooks.use()
    logging.captureWarnings(False)
    logging.setLogRecordFactory(factory)
    root.handlers[:] = before
    root.setLevel(level)


def set_up(form: LogFormat = "text", layout: str = "%(levelname)s %(name)s %(message)s") -> Kept:
    """Configure this process; return what it logs to."""
    sender = Sender()
    configure_worker(LogSetup("INFO", form, layout, sender))  # type: ignore[arg-type]
    return sender.kept


def test_every_logger_goes_the_same_way_from_its_level_on() -> None:
    """Root, named loggers and warnings; nothing below the level."""
    kept = set_up()
    logging.getLogger("a.b").info("one")
    logging.getLogger().error("two")
    logging.getLogger("a.b").debug("three")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("four", stacklevel=1)
    assert kept.texts[:2] == ["INFO a.b one", "ERROR root two"]
    assert "UserWarning: four" in kept.texts[2]
    assert len(kept.texts) == 3


def test_configuring_again_does_not_double_the_records() -> None:
    """The last configuration is the only one."""
    set_up()
    kept = set_up()
    logging.getLogger().info("one")
    assert kept.texts == ["INFO root one"]


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("%(message)s %(lineno)d", r"m [1-9]\d+"),
        ("%(message)s %(funcName)s", "m test_a_layout_gets_what_it_names"),
        ("%(message)s %(threadName)s", "m MainThread"),
        ("%(message)s %(module)s", "m test_configurer"),
        ("%(message)s %(processName)s", "m MainProcess"),
    ],
)
def test_a_layout_gets_what_it_names(layout: str, expected: str) -> None:
    """Fields that cost time to find out are found out for the layouts that show them."""
    kept = set_up(layout=layout)
    logging.getLogger().info("m")
    assert len(kept.texts) == 1
    assert re.fullmatch(expected, kept.texts[0])


def test_the_json_format_is_json() -> None:
    """Each record has level, logger, process and message."""
    kept = set_up("json")
    logging.getLogger("a").warning("m %d", 1)
    fields = json.loads(kept.texts[0])
    assert (fields["level"], fields["logger"], fields["message"]) == ("WARNING", "a", "m 1")


def test_a_stack_is_logged_for_those_who_ask() -> None:
    """stack_info=True shows the caller's stack, also with a layout that names no caller."""
    kept = set_up(layout=TEXT_LAYOUT)
    logging.getLogger().info("m", stack_info=True)
    assert "test_a_stack_is_logged_for_those_who_ask" in kept.texts[0].splitlines()[-2]
    assert "records.py" not in kept.texts[0]


def test_the_listener_of_the_queue_writes_the_file(tmp_path: Path) -> None:
    """It makes the folder, rotates at the size, and escapes what UTF-8 cannot hold."""
    setup = LogSetup("INFO", "text", "%(message)s", Sender())  # type: ignore[arg-type]
    path = tmp_path / "logs" / "the.log"
    configure_listener(setup, LogFile(path, 10, 5))
    for text in ("one", "two\udc80", "three"):
        logging.getLogger().info(text)
    logging.getLogger().handlers[0].close()
    texts = [file.read_text() for file in sorted(path.parent.iterdir(), reverse=True)]
    assert "".join(texts) == "one\ntwo\\udc80\nthree\n"
    assert len(texts) > 1


def test_a_closed_handler_opens_its_file_again(tmp_path: Path) -> None:
    """As logging's own do: so whoever renames the log gets a new one, of the same name."""
    handler = LogFileHandler(LogFile(tmp_path / "the.log"))
    for text in ("one", "two"):
        handler.handle(logging.makeLogRecord({"msg": text}))
        (tmp_path / "the.log").rename(tmp_path / text)
        handler.close()
    assert [(tmp_path / text).read_text() for text in ("one", "two")] == ["one\n", "two\n"]


def test_a_setup_travels_to_other_processes() -> None:
    """It is a value that pickles."""
    setup = LogSetup("INFO", "json", TEXT_LAYOUT, None)  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(setup)) == setup
