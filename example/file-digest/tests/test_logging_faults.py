"""The one log, whatever the job does with logging, and to the process that logs.

Each row is what a job does, once at its import and once in ``work()``; it runs in main as well.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from file_digest.settings import (
    slug_and_version,
    start_methods,
)

from .support.service import PACKAGE, Finished, Service

Services = Callable[..., Service]

needs_posix = pytest.mark.skipif("os.name == 'nt'")
TRANSPORTS = pytest.mark.parametrize("transport", ["pipe", "queue"])
SLUG = slug_and_version()[0]


FILE_CONFIG = r"""
pathlib.Path("log.ini").write_text(
    "[loggers]\nkeys=root\n[handlers]\nkeys=\n[formatters]\nkeys=\n"
    "[logger_root]\nlevel=ERROR\nhandlers=\n"
)
logging.config.fileConfig("log.ini")
"""

ROWS = {
    "an empty dictConfig": 'logging.config.dictConfig({"version": 1})',
    "dictConfig with a root": (
        'logging.config.dictConfig({"version": 1, "root": {"level": "ERROR", "handlers": []}})'
    ),
    "dictConfig without propagation": (
        'logging.config.dictConfig({"version": 1, "loggers": {__name__: {"propagate": False}}})'
    ),
    "fileConfig": FILE_CONFIG,
    "basicConfig by force": "logging.basicConfig(force=True, level=logging.ERROR)",
    "handlers removed": (
        "for each in list(logging.getLogger().handlers): logging.getLogger().removeHandler(each)"
    ),
    "handlers replaced": "logging.getLogger().handlers = [logging.NullHandler()]",
    "shutdown": "logging.shutdown()",
    "disable": "logging.disable(logging.CRITICAL)",
    "a level on the root logger": "logging.getLogger().setLevel(logging.CRITICAL)",
    "a filter on the root logger": "logging.getLogger().addFilter(lambda record: False)",
    "a handler that raises": "logging.getLogger().addHandler(Raising())",
    "no last resort": "logging.lastResort = None",
    "another class of loggers": (
        "logging.setLoggerClass(type('Mine', (logging.Logger,), {})); logging.getLogger('other')"
    ),
    "module functions": "logging.info('to nobody')",
}

IN_A_THREAD = """
import threading
thread = threading.Thread(target=log.info, args=("%s", "x" * 10_000))
thread.start()
thread.join()
"""


def configuring(service: Services, code: str, *, at_import: bool) -> Service:
    """Make a service whose job configures logging at its import, or in ``work()``."""
    one = service("configuring_logging")
    one.environment["AT_IMPORT" if at_import else "IN_WORK"] = code
    return one


def messages(one: Service) -> list[str]:
    """Return what the log's lines say, without time, process and level."""
    return [line.split(maxsplit=5)[-1] for line in one.log_lines() if not line.startswith("  |")]


@TRANSPORTS
@pytest.mark.parametrize("at_import", [True, False], ids=["at import", "in work"])
@pytest.mark.parametrize("configure", ROWS.values(), ids=ROWS.keys())
def test_no_call_takes_the_log_away(
    service: Services, transport: str, configure: str, at_import: bool
) -> None:
    """Main's records and the workers' are in the log, each once."""
    one = configuring(service, configure, at_import=at_import)
    finished = one.run("--workers", "1", "--log-transport", transport)
    assert finished.code == 0, finished.stderr
    found = messages(one)
    expected = ["in items", *(f"work of item {n}" for n in range(3))]
    assert sorted(text for text in found if text in expected) == sorted(expected)
    assert any(text.startswith("run begins") for text in found)
    assert any(text.startswith("run ends: 3 done") for text in found)


@TRANSPORTS
@pytest.mark.parametrize("at_import", [True, False], ids=["at import", "in work"])
def test_shutdown_leaves_the_log_to_every_thread(
    service: Services, transport: str, at_import: bool
) -> None:
    """Locks that ``logging.shutdown`` takes are free afterwards, for long records too."""
    one = configuring(service, "logging.shutdown()", at_import=at_import)
    one.environment["IN_WORK"] = f"{one.environment.get('IN_WORK', '')}\n{IN_A_THREAD}"
    finished = one.run("--workers", "1", "--log-transport", transport)
    assert finished.code == 0, finished.stderr
    assert sum(text.startswith("xxx") for text in messages(one)) == 3


@pytest.mark.parametrize("method", start_methods())
@TRANSPORTS
def test_handlers_of_the_job_work_besides_and_see_true_records(
    service: Services, method: str, transport: str
) -> None:
    """In main and in workers, by every start method, each record once."""
    one = configuring(service, "log.addHandler(Note())", at_import=True)
    finished = one.run("--workers", "1", "--start-method", method, "--log-transport", transport)
    assert finished.code == 0, finished.stderr
    notes = [line.split(" ", 1)[1] for line in (one.folder / "notes").read_text().splitlines()]
    expected = ["in items job.py items source"]
    expected += [f"work of item {n} job.py work " for n in range(3)]
    assert len(notes) == len(expected)
    assert all(note.startswith(text) for note, text in zip(notes, expected, strict=True))
    assert [note.split()[-1] for note in notes] == ["items", "work", "work", "work"]
    assert sum(text.startswith("work of item") for text in messages(one)) == 3


@TRANSPORTS
def test_levels_and_filters_of_the_jobs_own_loggers_hold(service: Services, transport: str) -> None:
    """A logger of the job may be quieter or louder than the service, and may drop records."""
    one = service("levels")
    assert one.run("--workers", "1", "--log-transport", transport).code == 0
    found = [text for text in messages(one) if "seen:" in text]
    assert found == ["seen: loud", "seen: strict"]


@pytest.mark.parametrize("method", start_methods())
@TRANSPORTS
def test_levels_by_logger_hold_until_the_job_sets_its_own(
    service: Services, method: str, transport: str
) -> None:
    """In main as in workers, also below ``--log-level``; the job's own calls come later and win."""
    one = service("levels")
    (one.folder / f"{SLUG}.toml").write_text(
        f'[log_levels]\n{PACKAGE}.main = "WARNING"\n"mine" = "ERROR"\n'
        '"mine.plain" = "DEBUG"\n"mine.loud" = "ERROR"\n"mine.quiet" = "DEBUG"\n'
    )
    finished = one.run("--workers", "1", "--start-method", method, "--log-transport", transport)
    assert finished.code == 0, finished.stderr
    found = messages(one)
    assert [text for text in found if "seen:" in text] == ["not seen: plain", "seen: loud"]
    assert not any(text.startswith("run begins") for text in found)


@TRANSPORTS
def test_a_record_factory_of_the_job_holds_in_main_as_in_workers(
    service: Services, transport: str
) -> None:
    """A layout may name what it adds."""
    one = service("record_factory")
    layout = "%(trace_id)s %(funcName)s %(message)s"
    finished = one.run("--workers", "1", "--log-layout", layout, "--log-transport", transport)
    assert finished.code == 0, finished.stderr
    lines = list(one.log_lines())
    assert all(line.startswith(("trace-42 ", "  | ")) for line in lines)
    assert {"trace-42 items in items", "trace-42 work in work"} <= set(lines)


BRACES = """
import logging

class Record(logging.LogRecord):
    def getMessage(self):
        named = self.args if isinstance(self.args, dict) else {}
        text = self.msg.format(**named) if named else self.msg.format(*self.args)
        return text.replace("secret", "***")

logging.setLogRecordFactory(Record)
log = logging.getLogger(__name__)

def items(inputs):
    yield "key", 0

def work(payload):
    log.info("no secret")
    log.info("one {}", "secret")
    log.info("named {it}", {"it": "secret"})
    try:
        raise RuntimeError
    except RuntimeError:
        log.exception("failed {}", "secret")
"""


@pytest.mark.parametrize("form", ["text", "json"])
@TRANSPORTS
def test_records_of_the_jobs_own_class_make_their_message(
    service: Services, form: str, transport: str
) -> None:
    """With arguments of any kind, with none, and with an exception."""
    one = service(BRACES)
    finished = one.run("--workers", "1", "--log-transport", transport, "--log-format", form)
    assert finished.code == 0, finished.stderr
    text = one.log_text()
    for said in ("no ***", "one ***", "named ***", "failed ***"):
        assert text.count(said) == 1
    assert "secret" not in text


def test_nothing_goes_to_standard_error_that_nobody_sent_there(service: Services) -> None:
    """Neither by ``logging.info`` and the like, nor for want of a handler."""
    one = configuring(service, "logging.warning('through the module')", at_import=False)
    finished = one.run("--workers", "1")
    assert sum(text == "through the module" for text in messages(one)) == 3
    assert "through the module" not in finished.stderr


# --- long records --------------------------------------------------------------------------


HINDRANCES = {
    "chdir": "os.chdir(tempfile.gettempdir())",
    "a removed folder": "os.chdir(tempfile.mkdtemp()); os.rmdir(os.getcwd())",
    "umask": "os.umask(0o777)",
    "another user": "become_nobody()",
    "no descriptor left": "use_up_descriptors()",
    "threads and a signal handler": "log_from_everywhere(n)",
}


def run_long(one: Service, hindrance: str, *options: str) -> Finished:
    """Run a job of long records; all are to be there and whole."""
    finished = one.run(hindrance, "--workers", "2", *options)
    assert finished.code == 0, finished.stderr
    text = one.log_text()
    assert [text.count(f" long {n} {'x' * 20_000} END\n") for n in range(2)] == [1, 1]
    for line in text.splitlines():
        if "END" in line or "sss" in line:
            assert re.search(r"(long \d|\w+ of \d:) (.)\2+ END$", line), line[:200]
    assert "lost" not in text
    assert "listener stood still" not in text
    assert [path.name for path in one.log.parent.iterdir()] == [one.log.name]
    return finished


@needs_posix
@TRANSPORTS
@pytest.mark.parametrize("hindrance", HINDRANCES.values(), ids=HINDRANCES.keys())
def test_long_records_need_nothing_of_their_process(
    service: Services, transport: str, hindrance: str
) -> None:
    """Neither its folder, nor its user, nor its umask, nor a free descriptor."""
    one = service("long_records")
    run_long(one, hindrance, "--log-transport", transport)
    if "everywhere" in hindrance:
        for name in "abcm":
            for number in range(2):
                assert one.log_text().count(f"{name} of {number}: {name * 9_000} END") == 20


@needs_posix
@TRANSPORTS
@pytest.mark.parametrize(
    ("below", "above"), [(3, 1000), (3, 5000)], ids=["a row of them", "all of them"]
)
def test_a_job_that_closes_our_descriptors_keeps_its_log(
    service: Services, transport: str, below: int, above: int
) -> None:
    """Later records are in the log, or in the rescue file and reported; none is lost."""
    one = service("closing_descriptors")
    closed = (str(below), str(above))
    finished = one.run(*closed, "--workers", "1", "--log-transport", transport)
    assert finished.code == 0, finished.stderr
    rescue = one.log.with_name(f"{one.log.name}.rescue")
    text = one.log_text()
    if rescue.exists():
        assert "lost its way to the log listener: 2 log records went to" in text
        text += rescue.read_text()
    assert "short after closing" in text
    assert "x" * 20_000 + " END" in text
    assert not any(path.stat().st_size for path in one.folder.glob("theirs-*"))


@needs_posix
def test_a_loss_is_told_although_its_process_is_killed(service: Services) -> None:
    """In the log and on standard error, with the number; nobody else is blamed."""
    one = service("losing_records")
    rescue = one.log.with_name(f"{one.log.name}.rescue")
    finished = one.run(str(rescue), "--workers", "1", "--log-transport", "pipe")
    assert finished.code == 0, finished.stderr
    assert "7 log records were lost" in finished.stderr
    assert "7 log records were lost: neither the log listener nor" in one.log_text()
    assert "listener stood still" not in one.log_text()


# --- JSON ----------------------------------------------------------------------------------

JSON_ROWS: list[tuple[str, dict[str, Any]]] = [
    # what is logged, and what must be of it
    ('extra={"level": 12}', {"level": "INFO", "level_": 12}),
    ('extra={"level": 1, "level_": 2}', {"level": "INFO", "level_": 1, "level__": 2}),
    ('extra={"time": 0.25, "pid": 1}', {"time_": 0.25, "pid_": 1}),
    ('extra={"logger": "a", "exc_text_": "b"}', {"logger_": "a", "exc_text_": "b"}),
    ('extra={"n": float("nan"), "i": -float("inf")}', {"n": "NaN", "i": "-Infinity"}),
    ('extra={"m": {"loss": [float("inf")]}}', {"m": {"loss": ["Infinity"]}}),
    ('extra={"n": 16**5000}', {"n": "0x1" + "0" * 5000}),
    ('extra={"s": {1}, "p": pathlib.Path("/x")}', {"s": [1], "p": "/x"}),
    ('extra={"k": {(1, 2): 3, 1: "a", "1": "b"}}', {"k": {"(1, 2)": 3, "1": "a", "1_": "b"}}),
    ('extra={"r": loop}', {"r": ["[[...]]"]}),
    ('extra={"u": "\\udc80"}', {"u": "\udc80"}),
    ('extra={"x": Unshowable()}', {"x": "__could_not_encode__"}),
]


@TRANSPORTS
def test_each_line_of_the_json_log_is_strict_and_keeps_its_own_fields(
    service: Services, transport: str
) -> None:
    """Fields of ``extra`` with a taken name get another; values that JSON cannot hold are text."""
    one = service("json_rows")
    rows = one.folder / "rows"
    rows.write_text("\n".join(row for row, _ in JSON_ROWS))
    finished = one.run(
        str(rows), "--workers", "1", "--log-format", "json", "--log-transport", transport
    )
    assert finished.code == 0, finished.stderr

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    lines = [json.loads(line, parse_constant=refuse) for line in one.log_lines()]
    for line in lines:
        assert isinstance(line["time"], float)
        assert line["level"] == "INFO" or not line["logger"].endswith(".job")
        assert line["process"] in {"MainProcess", "worker-1"}
        assert isinstance(line["pid"], int)
    by_message = {line["message"]: line for line in lines}
    for number, (_, expected) in enumerate(JSON_ROWS):
        assert by_message[f"row {number}"].items() >= expected.items()
    assert by_message["a dict"].items() >= {"level_": "fake", "process_": "forged"}.items()
    assert any(message.startswith("many %d [with") for message in by_message)
