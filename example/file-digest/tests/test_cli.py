"""The command line: where settings come from, bad input, exit codes, the terminal."""

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from file_digest import STOPPED_BY_SIGNAL
from file_digest.cli import app
from file_digest.settings import (
    slug_and_version,
    start_methods,
)

from .support.service import PACKAGE, Finished, Service, wait_for

PREFIX = PACKAGE.upper()
SLUG = slug_and_version()[0]


def _file(folder: Path) -> str:
    (folder / "file").write_text("text")
    return str(folder / "file")


def _foreign_database(folder: Path) -> str:
    database = sqlite3.connect(folder / "foreign.db")
    database.execute("CREATE TABLE outcomes (something TEXT)")
    database.close()
    return str(folder / "foreign.db")


BAD_INPUT: dict[str, tuple[list[str], str]] = {
    "no workers": (["run", "--workers=-1"], r"--workers .*command line.* -1 .*at least 0"),
    "too many workers": (["run", "--workers", "100000"], r"--workers .*at most 1000"),
    "workers no number": (["run", "--workers", "x"], r"--workers .*'x'.*whole number"),
    "grace not finite": (["run", "--grace", "nan"], r"--grace .*nan"),
    "no timeout at all": (["run", "--item-timeout", "0"], r"--item-timeout .*above 0"),
    "unknown choice": (["run", "--log-format", "xml"], r"--log-format .*text, json"),
    "bad layout": (["run", "--log-layout", "%(x"], r"--log-layout"),
    "unknown option": (["run", "--wrokers", "2"], r"--wrokers"),
    "unknown command": (["ran"], r"ran"),
    "results are no database": (["run", "--results", "{file}"], r"not a results file"),
    "results of another schema": (["run", "--results", "{foreign}"], r"not a results file"),
    "results are a folder": (["run", "--results", "{tmp}"], r"is a folder"),
    "results below a file": (["run", "--results", "{file}/x.db"], r"not a folder"),
    "log is a folder": (["run", "--log-file", "{tmp}"], r"--log-file.*is a folder"),
    "log below a file": (["run", "--log-file", "{file}/x.log"], r"--log-file.*not a folder"),
    "log where nothing can be made": (["run", "--log-file", "/proc/x/y.log"], r"--log-file"),
    "results are a device": (["run", "--results", os.devnull], r"--results: .*not a regular file"),
    "log is the journal": (
        ["run", "--results", "{tmp}/r.db", "--log-file", "{tmp}/r.db"],
        r"--log-file: .*belongs to the results file",
    ),
    "log is the journal's lock": (
        ["run", "--results", "{tmp}/r.db", "--log-file", "{tmp}/r.db-lock"],
        r"--log-file: .*belongs to the results file",
    ),
    "a rotated standard output": (
        ["run", "--log-file", "-", "--log-max-bytes", "1000"],
        r"--log-max-bytes: standard output cannot be rotated; give 0",
    ),
    "layout that fits no record": (["run", "--log-layout", "%(asctime)d"], r"--log-layout"),
    "export into the journal": (
        ["export", "--format", "csv", "--results", "{foreign}", "--output", "{foreign}"],
        r"--output: .*the file of --results",
    ),
    "page and trace in one": (
        ["timeline", "--html", "{tmp}/new", "--output", "{tmp}/new"],
        r"--html: .*the file of --output",
    ),
    "status of nothing": (["status", "--results", "{tmp}/none.db"], r"does not exist"),
    "export without a format": (["export"], r"--format is missing.*jsonl, csv"),
    "flat lines of JSON": (["export", "--format", "jsonl", "--flat"], r"--flat: .*--format csv"),
    "an option of the job without a value": (
        ["run", "--job-option", "depth"],
        r"--job-option: 'depth' \(from the command line\) .*KEY=VALUE",
    ),
    "an option that the job does not take": (
        ["run", "--job-option", "depth=3"],
        r"--job-option: job.py takes no options \(given: depth\)",
    ),
    "missing settings file": (["--config", "{tmp}/none.toml", "run"], r"none.toml"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT.values(), ids=list(BAD_INPUT))
def test_bad_input_is_one_clear_line(
    service: Callable[..., Service], tmp_path: Path, arguments: list[str], message: str
) -> None:
    """Wrong usage is one line with exit code 2, and nothing is touched."""
    names = {"tmp": str(tmp_path), "file": _file(tmp_path), "foreign": _foreign_database(tmp_path)}
    digest = service("three")
    before = _tree(tmp_path)
    finished = digest.command(*(argument.format(**names) for argument in arguments))
    _assert_one_line(finished, message)
    assert _tree(tmp_path) == before


BAD_SETTINGS = {
    "unknown key": ("wrokers = 2", r"unknown key 'wrokers'.*workers"),
    "unknown key in a table": ("[run]\nwrokers = 2", r"unknown key 'wrokers'"),
    "wrong type": ('workers = "two"', r"workers = 'two'.*whole number"),
    "a boolean for a number": ("workers = true", r"workers = True.*whole number"),
    "a number for a text": ("log_file = 5", r"log_file = 5"),
    "out of range": ("workers = -1", rf"--workers .*{SLUG}\.toml.* -1 "),
    "NUL": ('results = "a\\u0000b"', r"results = 'a.x00b'"),
    "levels that are no table": ('log_levels = "a=INFO"', r"log_levels = 'a=INFO'.*table"),
    "an unknown level": (
        '[log_levels]\na.b = "LOUD"',
        rf"--log-levels .*{SLUG}\.toml.* a\.b has no level 'LOUD'; give .*DEBUG",
    ),
    "a logger without a name": ('[run.log_levels]\n"" = "INFO"', r"'' is not a logger's name"),
    "syntax error": ("workers = ", r"not valid TOML"),
    "options of the job that are no table": ("job = 1", r"job = 1: give KEY=VALUE"),
    "a blank in an option of the job": ('[job]\n"a b" = 1', r"'a b' in .* is not valid"),
}


@pytest.mark.parametrize(("content", "message"), BAD_SETTINGS.values(), ids=list(BAD_SETTINGS))
def test_bad_settings_file_is_one_clear_line(
    service: Callable[..., Service], content: str, message: str
) -> None:
    """A wrong settings file is named with the key and what is allowed."""
    digest = service()
    (digest.folder / f"{SLUG}.toml").write_text(content)
    _assert_one_line(digest.command("run"), message)


STREAMS = {
    "run, nobody reads": ("run {tmp} | true", 0, ""),
    "run, closed": ("run {tmp} >&-", 0, ""),
    "status, closed": ("status >&-", 0, ""),
    "help, nobody reads": ("--help | true", 0, ""),
    "export, closed": ("export --format csv >&-", 2, "standard output is closed"),
    "log, closed": ("run --log-file - >&-", 2, "--log-file: standard output is closed"),
    "names from nowhere": ("run - <&-", 2, "standard input is closed"),
    "status, disk full": ("status > /dev/full", 1, "standard output: No space left"),
    "export, disk full": ("export --format csv > /dev/full", 2, "standard output: No space left"),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="that device is Linux's")
@pytest.mark.parametrize(("line", "code", "message"), STREAMS.values(), ids=list(STREAMS))
def test_standard_streams_that_are_closed_or_full(
    service: Callable[..., Service], tmp_path: Path, line: str, code: int, message: str
) -> None:
    """Output that cannot be printed is one line at most, no traceback; outcomes stay."""
    digest = service()
    (tmp_path / "some").mkdir()
    assert digest.command("run", "--no-progress", str(tmp_path / "some")).code == 0
    command = line.format(tmp=tmp_path / "some")
    finished = subprocess.run(
        ["bash", "-c", f"set -o pipefail; '{sys.executable}' -m {PACKAGE} {command}"],
        cwd=digest.folder,
        env=digest.environment,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert finished.returncode == code, finished.stderr
    assert message in finished.stderr
    assert len(finished.stderr.splitlines()) == bool(message)


def test_bad_environment_variable_is_named(service: Callable[..., Service]) -> None:
    """A wrong value from the environment names the variable."""
    digest = service()
    digest.environment[f"{PREFIX}_RUN_WORKERS"] = "many"
    _assert_one_line(digest.command("run"), rf"--workers .*{PREFIX}_RUN_WORKERS.*'many'")


SLIPS = {
    "a slip": (f"{PREFIX}_RUN_WROKERS", "run", rf"{PREFIX}_RUN_WROKERS; .*{PREFIX}_RUN_WORKERS\?"),
    "without its command": (f"{PREFIX}_WORKERS", "run", rf"did you mean {PREFIX}_RUN_WORKERS\?"),
    "another's command": (f"{PREFIX}_STATUS_RESULTS", "status", rf"mean {PREFIX}_RUN_RESULTS\?"),
    "nothing like ours": (f"{PREFIX}_XYZ", "status", rf"{PREFIX}_XYZ; no option is called so"),
    "an odd option of the job": (f"{PREFIX}_JOB_1", "run", rf"{PREFIX}_JOB_1 is not valid"),
}


@pytest.mark.parametrize(("name", "command", "says"), SLIPS.values(), ids=list(SLIPS))
def test_unknown_environment_variable_is_refused(
    service: Callable[..., Service], name: str, command: str, says: str
) -> None:
    """An unknown variable with our prefix is refused in one line, as an unknown key of the file."""
    three = service("three")
    three.environment[name] = "1"
    _assert_one_line(three.command(command), says)
    assert not three.results.exists()


def test_variables_of_kubernetes_are_left_alone(service: Callable[..., Service]) -> None:
    """A Service of this one's name sets some in every container of its namespace."""
    three = service("three")
    endings = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP_ADDR")
    three.environment |= {f"{PREFIX}_{ending}": "tcp://10.0.0.1:80" for ending in endings}
    assert three.command("run", "--no-progress").code == 0


def test_one_variable_and_one_key_hold_for_all_commands(service: Callable[..., Service]) -> None:
    """``run``'s settings of results and log apply to other commands, unless these have own ones."""
    three = service("three")
    settings = three.folder / f"{SLUG}.toml"
    readers = (("status",), ("export", "--format", "csv"), ("prune", "--older-than", "0"))
    settings.write_text('[run]\nresults = "from-file.db"\nlog_file = "from-file.log"\n')
    assert [three.command(*each).code for each in (("run",), *readers)] == [0] * 4
    assert "no line of one in from-file.log" in three.command("log", "one").stderr
    three.environment[f"{PREFIX}_RUN_RESULTS"] = "from-environment.db"
    three.environment[f"{PREFIX}_RUN_LOG_FILE"] = "from-environment.log"
    assert "from-environment.db does not exist" in three.command("status").stderr
    assert "from-environment.log does not exist" in three.command("log", "one").stderr
    assert [three.command(*each).code for each in (("run",), *readers)] == [0] * 4
    page = ("timeline", "--html", "page.html")
    assert "from-environment.db has no items" in three.command(*page).stderr  # they are pruned
    three.environment.pop(f"{PREFIX}_RUN_RESULTS")
    settings.write_text('[run]\nresults = "none.db"\n[status]\nresults = "from-file.db"\n')
    assert "from-file.db: 0 done" in three.command("status").stdout


def test_the_bare_command_shows_its_help(service: Callable[..., Service]) -> None:
    """On standard error, with exit code 2: a script that lost its arguments is to see it."""
    bare = service().command()
    assert (bare.code, bare.stdout) == (app.USAGE, "")
    assert bare.stderr.startswith(f"Usage: {SLUG} ")
    assert "Missing command" not in bare.stderr


def test_command_line_beats_environment_beats_file(service: Callable[..., Service]) -> None:
    """Each source is used where the ones before it are silent."""
    digest = service("three")
    settings = digest.folder / f"{SLUG}.toml"
    settings.write_text('log-file = "from-file.log"\n[run]\nresults = "from-table.db"\n')
    digest.command("run")
    assert (digest.folder / "from-file.log").exists()
    assert (digest.folder / "from-table.db").exists()
    digest.environment[f"{PREFIX}_RUN_LOG_FILE"] = "from-environment.log"
    digest.command("run")
    assert (digest.folder / "from-environment.log").exists()
    digest.command("run", "--log-file", "from-option.log")
    assert (digest.folder / "from-option.log").exists()


def _assert_one_line(finished: Finished, message: str) -> None:
    assert finished.code == app.USAGE
    assert finished.stdout == ""
    assert len(finished.stderr.splitlines()) == 1, finished.stderr
    assert re.search(message, finished.stderr), finished.stderr


def _tree(folder: Path) -> list[str]:
    paths = (path.relative_to(folder) for path in folder.rglob("*"))
    return sorted(str(path) for path in paths if not path.parts[0].startswith("service-"))


def test_failed_items_make_exit_code_1_and_can_be_retried(service: Callable[..., Service]) -> None:
    """A failed item is kept as such; --retry-failed does it again, and only it."""
    flaky = service("flaky")
    first = flaky.run()
    assert (first.code, flaky.count("failed")) == (app.SOME_FAILED, 1)
    assert "ValueError: not yet" in flaky.outcomes()["bad"]["error"]
    assert flaky.run().code == app.SOME_FAILED
    (flaky.folder / "mended").touch()
    assert flaky.run("--retry-failed").code == app.ALL_DONE
    assert (flaky.folder / "ran-good").read_text() == "x"
    assert (flaky.folder / "ran-bad").read_text() == "xx"


if sys.platform != "win32":
    import pty

    def test_ctrl_c_on_a_terminal_leaves_a_readable_screen(
        service: Callable[..., Service],
    ) -> None:
        """The bar stays, the summary says what was done, exit 130; a rerun does the rest."""
        slow = service("napping")
        code, screen = _on_terminal(slow, "30", "0.05")
        assert code == STOPPED_BY_SIGNAL + signal.SIGINT
        assert "\x1b[?25h" in screen  # the cursor is back
        assert "Traceback" not in screen
        done = slow.count()
        assert 0 < done < 30
        assert re.search(rf"{done} done, 0 failed in", screen)
        again = slow.run("30", "0.05")
        assert again.code == app.ALL_DONE
        assert f"{30 - done} done" in again.stdout
        assert slow.count() == 30

    def _on_terminal(service: Service, *arguments: str) -> tuple[int, str]:
        """Run on a terminal of its own; press Ctrl-C once some items are done."""
        files = ["--log-file", str(service.log), "--results", str(service.results)]
        command = [sys.executable, "-m", PACKAGE, "run", *files, "--workers", "2", *arguments]
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(service.folder)
            os.execve(command[0], command, service.environment)
        with ThreadPoolExecutor(1) as reader:  # a terminal that nobody reads makes its writers wait
            screen = reader.submit(_read_all, terminal)
            try:
                wait_for(lambda: service.count() > 2, "the first outcomes")
            finally:
                os.write(terminal, b"\x03")
                _, status = os.waitpid(pid, 0)
        os.close(terminal)
        return os.waitstatus_to_exitcode(status), screen.result()

    def _read_all(terminal: int) -> str:
        screen = b""
        with contextlib.suppress(OSError):  # EIO: nobody is left at the other end
            while data := os.read(terminal, 65536):
                screen += data
        return screen.decode()


@pytest.mark.parametrize("start_method", [name for name in start_methods() if name != "fork"])
def test_workers_import_neither_click_nor_rich(
    service: Callable[..., Service], start_method: str
) -> None:
    """Libraries of the command line stay out of the workers; a forked one has all of main."""
    curious = service("modules")
    assert curious.run("--start-method", start_method).code == 0
    assert curious.result("modules") == []
