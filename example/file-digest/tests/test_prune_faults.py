"""``prune`` while a run lives, and killed in the middle: no run fails, and nothing young goes."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from file_digest.items.messages import DONE, Outcome
from file_digest.results.journal import Journal
from file_digest.results.pruning import count_ended
from file_digest.system.inheritance import SIGKILL

from .support import old_journals
from .support.service import Run, Service, kill_process, wait_for

Services = Callable[..., Service]
DAY = 86_400.0
OLD = 20_000
"""So many that a run needs some seconds for them."""
ARGUMENTS = ("1000000", "10", "0.01", "--workers", "4")
"""Of a run that lives as long as a test needs it."""


def outcome(key: str, age: float) -> Outcome:
    """Return an outcome that ended so many seconds ago."""
    return Outcome(key, DONE, "1", None, 1, "worker-1", time.time() - age - 1.0, 1.0)


def fill(one: Service, old: int) -> None:
    """Leave so many old outcomes and a new one."""
    with Journal(one.results) as journal:
        journal.record([outcome(f"old-{number}", 40 * DAY) for number in range(old)])
        journal.record([outcome("new", 0.0)])


def start_pruning(one: Service) -> Run:
    """Begin to prune what is older than a month."""
    run = Run(one, ("prune", "--results", str(one.results), "--older-than", "30d"))
    one.runs.append(run)
    return run


def old_ones(one: Service) -> int:
    """Count what is to go."""
    return count_ended(one.results, time.time() - 30 * DAY)


def assert_sound(path: Path) -> None:
    """Make sure that SQLite finds no damage."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def begin(one: Service) -> Run:
    """Begin a run on a journal with old outcomes."""
    fill(one, OLD)
    run = one.start(*ARGUMENTS)
    wait_for(lambda: one.count() > OLD + 1, "the run at work")
    return run


def assert_goes_on_well(one: Service, run: Run) -> None:
    """Make sure that a run goes on, and that nothing of what it did is gone, nor anything young."""
    before = one.count()
    wait_for(lambda: one.count() > before, "more outcomes")
    run.send(signal.SIGTERM)
    finished = run.wait()
    assert finished.code == 128 + signal.SIGTERM, finished.stderr
    assert_sound(one.results)
    items = {key for key in one.outcomes() if not key.startswith("old-")}
    assert f"{len(items) - 1} done, 0 failed" in finished.stdout
    assert "new" in items


def test_the_command_says_what_went(service: Services) -> None:
    """It reports the number, and the file's sizes; with ``--dry-run`` the number only."""
    one = service("three")
    fill(one, 5_000)
    given = ("prune", "--results", str(one.results), "--older-than", "30d")
    assert "5000 outcomes would go" in one.command(*given, "--dry-run").stdout
    told = one.command(*given)
    assert (told.code, "5000 outcomes removed; " in told.stdout) == (0, True), told
    assert " kB before, " in told.stdout
    assert "0 outcomes removed; " in one.command(*given).stdout
    assert list(one.outcomes()) == ["new"]


WRONG = {
    "no age": ((), "--older-than is missing; give a time, such as 12h or 30d"),
    "no such unit": (("--older-than", "30y"), "30y"),
    "below 0": (("--older-than", "-1d"), "No such option '-1'"),
    "beyond all numbers": (("--older-than", "9" * 400 + "d"), "give a time, such as 12h or 30d"),
    "no journal": (("--older-than", "30d", "--results", "none.db"), "none.db does not exist"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=list(WRONG))
def test_wrong_usage_is_one_line(service: Services, given: tuple[str, ...], message: str) -> None:
    """Exit code 2, and nothing is touched."""
    one = service("three")
    told = one.command("prune", *given)
    assert (told.code, told.stderr.count("\n")) == (2, 1), told.stderr
    assert message in told.stderr
    assert not list(one.folder.glob("*.db*"))


def test_a_run_that_lives_prunes_when_asked(service: Services) -> None:
    """The command waits until it has; the run goes on meanwhile, and nothing of it is lost."""
    one = service("squares")
    run = begin(one)
    told = start_pruning(one).wait()
    assert (told.code, f"{OLD} outcomes removed" in told.stdout) == (0, True), told
    assert old_ones(one) == 0
    assert_goes_on_well(one, run)


if sys.platform != "win32":

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
    def test_prune_is_killed_or_stopped_while_a_run_prunes(service: Services, number: int) -> None:
        """It holds no lock that the run needs; what was asked for is done."""
        one = service("squares")
        run = begin(one)
        pruning = start_pruning(one)
        wait_for(one.results.with_name("results.db-prune").exists, "the request")
        pruning.send(number)
        wait_for(lambda: old_ones(one) == 0, "what was asked for")
        assert_goes_on_well(one, run)


def test_main_is_killed_while_it_prunes(service: Services) -> None:
    """The command sees that no run is there any more, and does the rest itself."""
    one = service("squares")
    run = begin(one)
    pruning = start_pruning(one)
    wait_for(lambda: old_ones(one) < OLD, "the first portion")
    kill_process(run.process.pid)
    told = pruning.wait()
    assert (told.code, f"{OLD} outcomes removed" in told.stdout) == (0, True), told
    assert old_ones(one) == 0
    assert_sound(one.results)
    assert one.run("100", "10", "0.01", "--workers", "4").code == 0
    assert {"new", *(f"item-{number}" for number in range(100))} <= set(one.outcomes())


PRUNE_AND_DIE = """
import os, signal, sqlite3, sys
from functools import partial
from pathlib import Path
from file_digest.results.pruning import prune

left = int(sys.argv[2])

def die_in_time(statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

class Traced(sqlite3.Connection):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.set_trace_callback(die_in_time)

sqlite3.connect = partial(sqlite3.connect, factory=Traced)
prune(Path(sys.argv[1]), 1_800_000_001.0)
os._exit(0)
"""


def of_this_version(path: Path) -> None:
    """Leave what a run of this version does."""
    with Journal(path) as journal:
        journal.record([Outcome(*row) for row in old_journals.OUTCOMES])


@pytest.mark.parametrize("leave", [of_this_version, old_journals.finished, old_journals.killed])
def test_prune_is_killed_before_each_statement(
    tmp_path: Path, leave: Callable[[Path], None]
) -> None:
    """Young outcomes stay, the file is intact, and another attempt does the rest."""
    for statement in range(1, 200):
        path = tmp_path / str(statement) / "results.db"
        path.parent.mkdir()
        leave(path)
        command = [sys.executable, "-c", PRUNE_AND_DIE, str(path), str(statement)]
        code = subprocess.run(command, check=False).returncode
        assert code in (0, -SIGKILL)
        assert_sound(path)
        assert count_ended(path, 1e12) - count_ended(path, 1_800_000_001.0) == 1
        again = subprocess.run([*command[:-1], "0"], check=False)
        assert (again.returncode, count_ended(path, 1e12)) == (0, 1)
        if code == 0:
            return
    pytest.fail("it takes ever more statements")


AGAIN = """
    def items(inputs):
        yield "one", 1

    def work(number):
        with open("done", "a") as file:
            file.write("x")
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_prunes_as_it_is_set(service: Services, workers: str) -> None:
    """While it waits for items, too; a key that went is done again when it comes again."""
    one = service(AGAIN)
    settings = ("--poll", "0.05", "--prune-older-than", "1s", "--workers", workers)
    run = one.start(*settings)
    done = one.folder / "done"
    wait_for(lambda: done.exists() and done.stat().st_size >= 3, "the third time")
    run.send(signal.SIGTERM)
    assert run.wait().code == 128 + signal.SIGTERM
    assert len(one.outcomes()) <= 1
    assert "yielded twice" not in one.log_text()
