"""The journal after faults: main killed, disk full, two runs, files of other programs."""

import json
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from file_digest.system.inheritance import SIGKILL

from .support.disks import DISKS, Disk
from .support.service import TRIES, Service, report, wait_for

Services = Callable[..., Service]


def assert_sound(service: Service) -> dict[str, sqlite3.Row]:
    """Make sure that SQLite finds no damage, and every result is right; return the outcomes."""
    with closing(sqlite3.connect(service.results)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        keys = [key for (key,) in database.execute("SELECT key FROM outcomes")]
        assert len(keys) == len(set(keys))
    outcomes = service.outcomes()
    for key, row in outcomes.items():
        assert row["status"] == "done"
        assert json.loads(row["result"])[0] == int(key.removeprefix("item-")) ** 2
    return outcomes


def test_main_is_killed_again_and_again_until_the_job_is_done(service: Services) -> None:
    """Each run goes on where the last one was killed; what was committed stays, and is readable."""
    one, before, kills = service("squares"), 0, 15 * TRIES
    arguments = ("2000", "10", "0.002", "--workers", "4")
    for _ in range(kills):
        run = one.start(*arguments)
        time.sleep(random.uniform(0.0, 0.9))
        run.send(SIGKILL)
        run.wait_until_gone(3.0)
        if one.results.exists():
            done = len(assert_sound(one))
            assert done >= before, "outcomes were lost"
            before = done
    last = one.run(*arguments)
    assert last.code == 0, last.stderr
    assert set(assert_sound(one)) == {f"item-{number}" for number in range(2_000)}
    report("journal: main killed", tries=kills, lost=0, seconds=last.seconds)


@pytest.mark.parametrize("command", [("status",), ("export", "--format", "jsonl")])
def test_what_a_killed_main_committed_can_be_read_at_once(
    service: Services, command: tuple[str, ...]
) -> None:
    """Nobody needs to repair the file first, although its write-ahead log was left behind."""
    one = service("squares")
    run = one.start("100000", "10", "0.001", "--workers", "2")
    wait_for(one.count, "a commit")
    run.send(SIGKILL)
    run.wait_until_gone(3.0)
    assert one.results.with_name(one.results.name + "-wal").exists()
    told = one.command(*command, "--results", str(one.results))
    assert told.code == 0, told.stderr
    done = len(assert_sound(one))
    if command == ("status",):
        assert f"{done} done, 0 failed" in told.stdout
    else:
        assert len(told.stdout.splitlines()) == done


def test_a_second_run_on_one_journal_is_refused(service: Services) -> None:
    """It says so in one line and does nothing; the first goes on to its end."""
    one = service("squares")
    first = one.start("2000", "10", "0.005", "--workers", "2")
    wait_for(one.count, "the first run at work")
    second = one.run("2000", "10", "0.005", "--workers", "2")
    assert second.code == 2
    assert second.stderr.count("\n") == 1, second.stderr
    assert "results.db is in use by another run" in second.stderr
    assert first.wait().code == 0
    assert len(assert_sound(one)) == 2_000


@pytest.mark.parametrize("make_disk", DISKS)
def test_a_full_disk_ends_the_run_with_a_clear_line(
    service: Services, tmp_path: Path, make_disk: type[Disk]
) -> None:
    """Committed outcomes are intact; when there is space again, a run does the rest."""
    one = service("squares")
    with make_disk(tmp_path / "disk", 400_000) as disk:
        one.results = disk.folder / "results.db"
        full = one.run("500", "10000", "0.001", "--workers", "2", preexec_fn=disk.limit)
        assert full.code not in (0, 130, 143)
        assert "Traceback" not in full.stderr
        assert f"{one.results} cannot be written: " in full.stderr.splitlines()[-1]
        before = len(assert_sound(one))
        assert before < 500
        for path in disk.folder.glob("results.db*"):
            shutil.copy(path, one.folder)
    one.results = one.folder / "results.db"
    assert one.run("500", "10000", "0.001", "--workers", "2").code == 0
    assert len(assert_sound(one)) == 500
    report("journal: disk full", lost=0)


def text_file(path: Path) -> None:
    """Write a file that is not SQLite."""
    path.write_text("name,amount\n" * 1_000)


def foreign_table(path: Path) -> None:
    """Write another program's database."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE customers(name TEXT)")


def foreign_schema(path: Path) -> None:
    """Write a database with a table of our name that is not ours."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE outcomes(key TEXT, winner TEXT)")


def folder(path: Path) -> None:
    """Make a folder of that name."""
    path.mkdir()


REFUSED = [
    (text_file, "is not a results file: file is not a database"),
    (foreign_table, "is not a results file: it has no table 'outcomes' of ours"),
    (foreign_schema, "is not a results file: it has no table 'outcomes' of ours"),
    (folder, ""),
]


@pytest.mark.parametrize(
    "command", [("run", "5", "1", "0"), ("status",), ("export", "--format", "csv")]
)
@pytest.mark.parametrize(("content", "message"), REFUSED)
def test_a_results_file_of_somebody_else_is_refused(
    service: Services, content: Callable[[Path], None], message: str, command: tuple[str, ...]
) -> None:
    """One line on stderr names it and says why; no byte of it changes, and no log is begun."""
    one = service("squares")
    content(one.results)
    before = one.results.read_bytes() if one.results.is_file() else b""
    options = ("--log-file", str(one.log)) if command[0] == "run" else ()
    told = one.command(command[0], "--results", str(one.results), *options, *command[1:])
    assert told.code == 2
    assert told.stderr.count("\n") == 1, told.stderr
    assert str(one.results) in told.stderr
    assert message in told.stderr
    assert not one.log.exists()
    assert (one.results.read_bytes() if one.results.is_file() else b"") == before
    assert sorted(os.listdir(one.folder)) == ["results.db", "src"]
