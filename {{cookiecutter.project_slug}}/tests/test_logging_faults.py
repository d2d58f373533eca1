"""What the one log holds whatever the job does with logging, and to the process that logs.

Each row is what a job does, once at its import and once in ``work()``; it runs in main as well.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from {{ cookiecutter.package_name }}.settings import start_methods

from .support.service import Finished, Service

Services = Callable[..., Service]

needs_posix = pytest.mark.skipif("os.name == 'nt'")
TRANSPORTS = pytest.mark.parametrize("transport", ["pipe", "queue"])

SETUP = """
    import logging, logging.config, logging.handlers, pathlib, sys, warnings

    log = logging.getLogger(__name__)

    class Note(logging.Handler):
        def emit(self, record):
            with open("notes", "a") as file:
                file.write(f"{record.process} {record.getMessage()} {record.filename} "
                           f"{record.funcName} {record.threadName}\\n")

    class Raising(logging.Handler):
        def emit(self, record): raise RuntimeError("a handler's own trouble")

    def configure():
        CONFIGURE

    AT_IMPORT
    def items(inputs):
        log.info("in items")
        return ((f"item-{n}", n) for n in range(3))

    def work(n):
        IN_WORK
        log.info("work of item %d", n)
        return n
"""

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
    "fileConfig": FILE_CONFIG.strip(),
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


def job(configure: str, *, at_import: bool) -> str:
    """Return a job that configures logging at its import, or in ``work()``."""
    text = SETUP.replace("CONFIGURE", configure)
    text = text.replace("AT_IMPORT", "configure()" if at_import else "")
    return text.replace("IN_WORK", "" if at_import else "configure()")


def messages(one: Service) -> list[str]:
    """Return what the log's lines say, without time, process and level."""
    return [line.split(maxsplit=4)[-1] for line in one.log_lines() if not line.startswith("  |")]


@TRANSPORTS
@pytest.mark.parametrize("at_import", [True, False], ids=["at import", "in work"])
@pytest.mark.parametrize("configure", ROWS.values(), ids=ROWS.keys())
def test_no_call_takes_the_log_away(
    service: Services, transport: str, configure: str, at_import: bool
) -> None:
    """Main's records and the workers' are in the log, each once."""
    one = service(job(configure, at_import=at_import))
    finished = one.run("--workers", "1", "--log-transport", transport)
    assert finished.code == 0, finished.stderr
    found = messages(one)
    expected = ["in items", *(f"work of item {n}" for n in range(3))]
    assert sorted(text for text in found if text in expected) == sorted(expected)
    assert any(text.startswith("run begins") for text in found)
    assert any(text.startswith("run ends: 3 done") for text in found)


@pytest.mark.parametrize("method", start_methods())
@TRANSPORTS
def test_handlers_of_the_job_work_besides_and_see_true_records(
    service: Services, method: str, transport: str
) -> None:
    """In main and in workers, by every start method, each record once."""
    one = service(job("log.addHandler(Note())", at_import=True))
    finished = one.run("--workers", "1", "--start-method", method, "--log-transport", transport)
    assert finished.code == 0, finished.stderr
    notes = [line.split(" ", 1)[1] for line in (one.folder / "notes").read_text().splitlines()]
    expected = ["in items job.py items source"]
    expected += [f"work of item {n} job.py work " for n in range(3)]
    assert len(notes) == len(expected)
    assert all(note.startswith(text) for note, text in zip(notes, expected, strict=True))
    assert sum(text.startswith("work of item") for text in messages(one)) == 3


@TRANSPORTS
def test_levels_and_filters_of_the_jobs_own_loggers_hold(service: Services, transport: str) -> None:
    """A logger of the job may be quieter or louder than the service, and may drop records."""
    one = service("""
        import logging

        loud, quiet, strict = (logging.getLogger(f"mine.{n}") for n in ("loud", "quiet", "strict"))
        loud.setLevel(logging.DEBUG)
        quiet.setLevel(logging.ERROR)
        strict.addFilter(lambda record: "secret" not in record.getMessage())
        off = logging.getLogger("mine.off")
        off.disabled = True

        def items(inputs):
            return [("a", 1)]

        def work(n):
            logging.getLogger("mine.plain").debug("not seen: plain")
            loud.debug("seen: loud")
            quiet.warning("not seen: quiet")
            strict.info("not seen: secret")
            strict.info("seen: strict")
            off.error("not seen: off")
    """)
    assert one.run("--workers", "1", "--log-transport", transport).code == 0
    found = [text for text in messages(one) if "seen:" in text]
    assert found == ["seen: loud", "seen: strict"]


@TRANSPORTS
def test_a_record_factory_of_the_job_holds_in_main_as_in_workers(
    service: Services, transport: str
) -> None:
    """A layout may name what it adds."""
    one = service("""
        import logging

        old, log = logging.getLogRecordFactory(), logging.getLogger(__name__)

        def factory(*args, **kwargs):
            record = old(*args, **kwargs)
            record.trace_id = "trace-42"
            return record

        logging.setLogRecordFactory(factory)

        def items(inputs):
            log.info("in items")
            return [("a", 1)]

        def work(n):
            log.info("in work")
    """)
    layout = "%(trace_id)s %(funcName)s %(message)s"
    finished = one.run("--workers", "1", "--log-layout", layout, "--log-transport", transport)
    assert finished.code == 0, finished.stderr
    lines = list(one.log_lines())
    assert all(line.startswith(("trace-42 ", "  | ")) for line in lines)
    assert {"trace-42 items in items", "trace-42 work in work"} <= set(lines)


def test_nothing_goes_to_standard_error_that_nobody_sent_there(service: Services) -> None:
    """Neither by ``logging.info`` and the like, nor for want of a handler."""
    one = service(job("logging.warning('through the module')", at_import=False))
    finished = one.run("--workers", "1")
    assert sum(text == "through the module" for text in messages(one)) == 3
    assert "through the module" not in finished.stderr


# --- long records --------------------------------------------------------------------------

LONG_JOB = """
    import logging, os, resource, signal, sys, tempfile, threading, time

    log = logging.getLogger(__name__)

    def items(inputs):
        return ((f"item-{n}", n) for n in range(2))

    def use_up_descriptors():
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
        try:
            while True: os.open(os.devnull, os.O_RDONLY)
        except OSError:
            pass

    def become_nobody():
        if not os.getuid():
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

    def log_from_everywhere(n):
        def beat(*_):
            log.info("signal of %d: %s END", n, "s" * 9_000)
            signal.setitimer(signal.ITIMER_REAL, 0.002)
        before = signal.getsignal(signal.SIGALRM)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGALRM, beat)
            signal.setitimer(signal.ITIMER_REAL, 0.002)
        def run(name):
            for _ in range(20):
                log.info("%s of %d: %s END", name, n, name * 9_000)
        threads = [threading.Thread(target=run, args=(name,)) for name in "abc"]
        for thread in threads: thread.start()
        run("m")
        for thread in threads: thread.join()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def work(n):
        HINDRANCE
        log.info("long %d %s END", n, "x" * 20_000)
        return n
"""

HINDRANCES = {
    "chdir": "os.chdir(tempfile.gettempdir())",
    "a removed folder": "os.chdir(tempfile.mkdtemp()); os.rmdir(os.getcwd())",
    "umask": "os.umask(0o777)",
    "another user": "become_nobody()",
    "no descriptor left": "use_up_descriptors()",
    "threads and a signal handler": "log_from_everywhere(n)",
}


def run_long(one: Service, *options: str) -> Finished:
    """Run a job of long records; all are to be there and whole."""
    finished = one.run("--workers", "2", *options)
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
    one = service(LONG_JOB.replace("HINDRANCE", hindrance))
    run_long(one, "--log-transport", transport)
    if "everywhere" in hindrance:
        for name in "abcm":
            for number in range(2):
                assert one.log_text().count(f"{name} of {number}: {name * 9_000} END") == 20


@needs_posix
@pytest.mark.parametrize(
    ("below", "above"), [(3, 1000), (3, 5000)], ids=["a row of them", "all of them"]
)
def test_a_job_that_closes_our_descriptors_keeps_its_log(
    service: Services, below: int, above: int
) -> None:
    """What is logged afterwards is in the log, or in the rescue file and told; none is lost."""
    one = service(f"""
        import logging, os

        log = logging.getLogger(__name__)

        def items(inputs):
            return [("a", 1)]

        def work(n):
            if not (child := os.fork()):  # or this worker could not answer
                os.closerange({below}, {above})
                with open("theirs", "w") as file:  # gets one of the lowest numbers
                    log.info("short after closing")
                    log.info("long after closing %s END", "x" * 20_000)
                os._exit(0)
            os.waitpid(child, 0)
    """)
    finished = one.run("--workers", "1", "--log-transport", "pipe")
    assert finished.code == 0, finished.stderr
    rescue = one.log.with_name(f"{one.log.name}.rescue")
    text = one.log_text()
    if rescue.exists():
        assert "lost its way to the log listener: 2 log records went to" in text
        text += rescue.read_text()
    assert "short after closing" in text
    assert "x" * 20_000 + " END" in text
    assert (one.folder / "theirs").read_text() == ""


@needs_posix
def test_a_loss_is_told_although_its_process_is_killed(service: Services) -> None:
    """In the log and on standard error, with the number; nobody else is blamed."""
    one = service("""
        import logging, os, pathlib, signal

        log = logging.getLogger(__name__)

        def items(inputs):
            return [(inputs[0], inputs[0])]

        def work(rescue):
            pathlib.Path(rescue).mkdir()  # so that there is no way left
            if not (child := os.fork()):
                os.closerange(3, 5000)
                from .log.pipe import WritingEnd
                WritingEnd.reopen = lambda end: False
                for _ in range(7):
                    log.info("gone")
                os.kill(os.getpid(), signal.SIGKILL)
            os.waitpid(child, 0)
    """)
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
    """What ``extra`` calls the same has another name; what JSON cannot hold is text."""
    one = service("""
        import logging, pathlib

        log, loop = logging.getLogger(__name__), []
        loop.append(loop)

        class Unshowable:
            def __str__(self): raise RuntimeError("no text")
            __repr__ = __str__

        def items(inputs):
            return [("a", pathlib.Path(inputs[0]).read_text())]

        def work(rows):
            for n, row in enumerate(rows.splitlines()):
                log.info("row %d", n, **eval(f"dict({row})"))
            log.info({"message": "a dict", "level": "fake", "time": 0, "process": "forged"})
            log.info("many %d", 10**5000)
    """)
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
