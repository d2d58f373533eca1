"""Starting over: --redo, and the line that says when outcomes are those of another job.py."""

from collections.abc import Callable
from pathlib import Path

import pytest

from .support import old_journals
from .support.service import Service

CHANGED = "job.py has changed since the last run into "


def test_redo_does_again_what_is_done_and_what_failed(service: Callable[..., Service]) -> None:
    """Each outcome is replaced by the new one; a key that comes twice is done once."""
    flaky = service("flaky")
    assert flaky.run().code == 1
    (flaky.folder / "mended").touch()
    flaky.append("items = lambda inputs: ((name, name) for name in ('good', 'bad', 'good'))")
    again = flaky.run("--redo")
    assert again.code == 0, again.stderr
    assert "2 done, 0 failed" in again.stdout
    assert (flaky.folder / "ran-good").read_text() == "xx"
    assert (flaky.folder / "ran-bad").read_text() == "xx"
    assert {row["status"] for row in flaky.outcomes().values()} == {"done"}


def test_redo_dry_run_names_what_is_done(service: Callable[..., Service]) -> None:
    """--dry-run says what --redo would do."""
    flaky = service("flaky")
    flaky.run()
    assert flaky.run("--dry-run").stdout == ""
    assert flaky.run("--dry-run", "--redo").stdout.split() == ["good", "bad"]


def test_nothing_to_do_names_redo(service: Callable[..., Service]) -> None:
    """A run that leaves all out says how to start over; one without any item has nothing to say."""
    three = service("three")
    three.run()
    assert "nothing to do; --redo does it all again" in three.run().stdout
    assert "nothing to do\n" in service("echo").run("0").stdout


SITUATIONS: dict[str, tuple[str, tuple[str, ...], bool]] = {
    "changed": ("# another", (), True),
    "changed, without processes": ("# another", ("--workers", "0"), True),
    "changed, and redone": ("# another", ("--redo",), False),
    "changed to mend what failed": ("# another", ("--retry-failed",), False),
    "not changed": ("", (), False),
    "not changed, without processes": ("", ("--workers", "0"), False),
}


@pytest.mark.parametrize(("line", "options", "warns"), SITUATIONS.values(), ids=list(SITUATIONS))
def test_a_changed_job_is_told_once(
    service: Callable[..., Service], line: str, options: tuple[str, ...], *, warns: bool
) -> None:
    """One line on the screen and in the log, which names --redo; the next run says no more."""
    three = service("three")
    three.run()
    if line:
        three.append(line)
    for expected in (warns, False):
        log_before = three.log_text().count(CHANGED)
        told = three.run("--no-progress", *options)
        assert (told.code, told.stderr.count(CHANGED)) == (0, expected), told.stderr
        assert three.log_text().count(CHANGED) - log_before == expected


@pytest.mark.parametrize("leave", [old_journals.finished, old_journals.killed])
def test_who_knows_of_no_earlier_job_says_nothing(
    service: Callable[..., Service], leave: Callable[[Path], None]
) -> None:
    """An older version noted none; a run that recorded nothing leaves nothing to be done again."""
    three, empty = service("three"), service("echo")
    leave(three.results)
    assert three.run("--retry-failed").stderr == ""
    empty.run("0")
    empty.append("# another")
    assert empty.run("1").stderr == ""
