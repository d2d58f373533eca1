"""Runs at the limit of processes and threads, RLIMIT_NPROC: the required outcomes."""

import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import psutil
import pytest

from .support.service import Service, report

resource = pytest.importorskip("resource", reason="this limit is one of POSIX")
assert sys.platform != "win32"

USERS = count(100_000 + os.getpid() % 10_000 * 100)
"""Users of this test process alone, one a test: the limit counts all of a user's, also zombies."""
EXPECTED = re.compile("0 done, 0 failed|not everything could be written")
"""If the forkserver dies of it, the listener may have no successor: that is reported as well."""


def as_nobody() -> tuple[list[str], int]:
    """Return what starts a program as a user who has no other processes, and that user.

    Root has no limit. That user may still read what is root's, such as an interpreter in root's
    home.
    """
    if os.geteuid() or not (setpriv := shutil.which("setpriv")):
        return [], os.getuid()
    may_read = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    user = next(USERS)
    return [setpriv, f"--reuid={user}", "--clear-groups", *may_read], user


def processes_of(user: int) -> list[psutil.Process]:
    """Return a user's living processes."""
    return [
        process
        for process in psutil.process_iter(["uids", "status", "num_threads"])
        if process.info["uids"] and process.info["uids"].real == user
        if process.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.fixture
def anybodys() -> Iterator[Service]:
    """Make a service in a folder that any user may write to."""
    with tempfile.TemporaryDirectory() as folder:
        one = Service(Path(folder) / "service", "echo")
        for path in (Path(folder), one.folder):
            path.chmod(0o777)
        yield one
        one.close()


@pytest.mark.parametrize("most", [2, 4, 6, 8, 12, 20])
def test_processes_run_out(anybodys: Service, most: int, start_method: str) -> None:
    """The run ends in time with exit code 3, one line with the cause and nobody left, or works."""
    one, (prefix, user) = anybodys, as_nobody()
    others = sum(process.info["num_threads"] or 0 for process in processes_of(user))
    limit = (others + most,) * 2
    run = one.start(
        *("100", "--workers", "2", "--start-method", start_method),
        prefix=[*prefix, sys.executable],
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_NPROC, limit),
    )
    finished = run.wait()
    run.wait_until_gone(2)
    if finished.code:
        assert finished.code == 3, finished.stderr
        *progress, line = finished.stderr.splitlines()
        assert line.startswith("Error: workers cannot start: no more processes or threads can")
        assert all(EXPECTED.search(shown) for shown in progress), finished.stderr
    else:
        assert one.count() == 100
        assert "Traceback" not in finished.stderr
    report(f"{most} processes and threads: {start_method}", tries=1, seconds=finished.seconds)
