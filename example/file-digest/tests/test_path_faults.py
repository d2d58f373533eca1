"""Paths and limits: each path means what it meant when the command was given; hints come first."""

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from file_digest.settings import (
    slug_and_version,
    start_methods,
)
from file_digest.system.files import meant_by, shown

from .support.service import PACKAGE, Finished, Service

Services = Callable[..., Service]
SLUG = slug_and_version()[0]
GONE = "folder = tempfile.mkdtemp(); os.chdir(folder); os.rmdir(folder)"
MOVES = {
    "at its import": {"AT_IMPORT": "os.chdir('/')"},
    "in items()": {"IN_ITEMS": "os.chdir('/')"},
    "in work()": {"IN_WORK": "os.chdir('/')"},
    "to a folder that goes, at its import": {"AT_IMPORT": GONE},
    "to a folder that goes, in items()": {"IN_ITEMS": GONE},
    "to a folder that goes, in work()": {"IN_WORK": GONE},
}


@pytest.mark.parametrize("start_method", start_methods())
@pytest.mark.parametrize("move", MOVES)
def test_a_job_may_change_directory(service: Services, move: str, start_method: str) -> None:
    """Results and log are where they were meant to be, and nothing is where the job went."""
    one = service("moving")
    one.environment |= MOVES[move]
    finished = one.command("run", "--workers", "2", "--start-method", start_method)
    assert finished.code == 0, finished.stderr
    assert finished.stdout.splitlines()[1:] == ["results: results.db", f"log:     logs/{SLUG}.log"]
    assert one.count() == 10
    log = (one.folder / "logs" / f"{SLUG}.log").read_text()
    assert "run ends: 10 done" in log
    assert one.command("status").stdout == "results.db: 10 done, 0 failed\n"


@pytest.mark.parametrize("move", ["in items()", "to a folder that goes, at its import"])
def test_a_measured_job_may_change_directory(service: Services, move: str) -> None:
    """The same for scale."""
    one = service("moving")
    one.environment |= MOVES[move]
    options = ("--workers", "1", "--seconds", "0.1", "--log-file", "measured.log")
    finished = one.command("scale", *options)
    assert finished.code == 0, finished.stderr
    assert (one.folder / "measured.log").exists()


def test_home_is_meant_wherever_a_path_comes_from(service: Services) -> None:
    """~ is expanded on the command line, in the environment and in the settings file."""
    one = service("moving")
    home = one.folder / "home"
    home.mkdir()
    one.environment["HOME"] = str(home)
    (one.folder / f"{SLUG}.toml").write_text('results = "~/a.db"\nlog-file = "~/a.log"\n')
    assert "results: ~/a.db" in one.command("run").stdout
    one.environment[f"{PACKAGE.upper()}_RUN_RESULTS"] = "~/b.db"
    assert one.command("run").code == 0
    assert one.command("run", "--results", "~/c.db").code == 0
    assert one.command("export", "--format", "csv", "--output", "~/c.csv").code == 0
    found = {path.name for path in home.iterdir()}
    assert {"a.db", "a.log", "b.db", "c.db", "c.csv"} <= found
    assert not (one.folder / "~").exists()


def test_a_working_directory_that_is_gone(service: Services, tmp_path: Path) -> None:
    """One line for a relative path; with absolute ones the run does its work."""
    one = service("moving")
    (gone := tmp_path / "gone").mkdir()
    leave = partial(_enter_and_remove, gone)
    finished = one.command("run", preexec_fn=leave)
    assert finished.code == 2
    assert_one_line(finished, "--results", "working directory does not exist")
    gone.mkdir()
    finished = one.run(preexec_fn=leave)
    assert (finished.code, one.count()) == (0, 10), finished.stderr


def _enter_and_remove(folder: Path) -> None:
    os.chdir(folder)
    folder.rmdir()


@pytest.mark.parametrize("given", ["a.db", "b/../c.db", "../d.db", "/tmp/e.db", "~/f.db"])
def test_a_path_is_shown_as_it_was_given(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also that of a file beside it, and after a change of directory."""
    monkeypatch.chdir(tmp_path)
    path = meant_by(given)
    assert path.is_absolute()
    monkeypatch.chdir("/")
    assert shown(path) == given
    assert shown(f"{path}-lock") == f"{given}-lock"


LONG = "n" * 249
NAMES = {
    "log": ("run", "--log-file", LONG),
    "log, rotated": ("run", "--log-file", "n" * 200, "--log-max-bytes", "1000"),
    "log of scale": ("scale", "--log-file", LONG),
    "results": ("run", "--results", LONG),
    "export": ("export", "--format", "csv", "--output", LONG),
    "no name at all": ("run", "--log-file", "n" * 300),
    "an unknown user": ("run", "--results", "~no-such-user/results.db"),
}


@pytest.mark.parametrize("command", NAMES.values(), ids=list(NAMES))
def test_names_that_will_not_do_are_refused_at_once(
    service: Services, command: tuple[str, ...]
) -> None:
    """Before anything starts: one line with the option, the reason and the way out."""
    one = service("moving")
    assert one.command("run").code == 0
    before = sorted(one.folder.iterdir())
    finished = one.command(*command)
    assert finished.code == 2
    option = next(word for word in command if word in {"--log-file", "--results", "--output"})
    why = "no user" if command[-1].startswith("~") else "name is too long by"
    assert_one_line(finished, option, why)
    assert sorted(one.folder.iterdir()) == before


@pytest.mark.parametrize("start_method", start_methods())
def test_a_temporary_folder_with_a_long_path(
    service: Services, start_method: str, tmp_path: Path
) -> None:
    """No socket has to fit into it, neither ours nor that of a Manager of the job's."""
    one = service("moving")
    one.environment["AT_IMPORT"] = "import multiprocessing"
    managing = "manager = multiprocessing.Manager(); manager.dict(); manager.shutdown()"
    one.environment["IN_ITEMS"] = managing
    (folder := tmp_path / ("t" * 120)).mkdir()
    one.environment["TMPDIR"] = str(folder)
    finished = one.run("--workers", "2", "--start-method", start_method)
    assert (finished.code, one.count()) == (0, 10), finished.stderr


if sys.platform != "win32":
    import resource

    def test_a_soft_limit_of_descriptors_is_raised(service: Services) -> None:
        """As far as the workers need it, where the hard limit allows that."""
        one = service("moving")
        low = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (25, 4096))
        finished = one.run("--workers", "4", preexec_fn=low)
        assert (finished.code, one.count()) == (0, 10), finished.stderr

    @pytest.mark.parametrize("command", ["run", "scale"])
    def test_too_few_descriptors_are_told_before_anything_starts(
        service: Services, command: str
    ) -> None:
        """The line has the number needed, the limit, and how to raise it; exit 3, no log."""
        one = service("moving")
        low = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (40, 40))
        finished = one.command(command, "--workers", "8", preexec_fn=low)
        assert finished.code == 3
        assert_one_line(finished, "--workers 8 needs about", "40 are allowed", "ulimit -n")
        assert not (one.folder / "logs").exists()


def assert_one_line(finished: Finished, *words: str) -> None:
    """Of an error, after what scale may say of a busy machine."""
    *others, line = finished.stderr.splitlines()
    assert all("keep this machine busy" in other for other in others)
    assert all(word in line for word in words), line
