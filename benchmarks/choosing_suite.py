"""The command of each execution model on two workers: how long, how large, how soon mended."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from . import rendered
from .harness import Figures
from .machine import proportional_mb

WORKERS = 2
LOG, JOURNAL = "bench.log", "results.db"
READY = re.compile(r"^(\S+ \S+) .*worker-\d+ is ready, pid (\d+)$", re.MULTILINE)
MIDDLE = 100
"""Outcomes after which memory is read and a worker is killed."""
SEE_SECONDS = 60.0
END_SECONDS = 20.0

Seen = TypeVar("Seen")


def contestants() -> Sequence[str]:
    """Return their names."""
    return rendered.MODELS


def measure(model: str, options: dict[str, Any], folder: Path) -> Figures:
    """Measure one model: a run of ``options["items"]`` items, or a kill in the middle of one."""
    items, milliseconds = options["items"], options["milliseconds"]
    if options["kill"]:
        return _kill_one(_command(model, items, milliseconds), folder)
    began = time.perf_counter()
    command = _command(model, items, milliseconds)
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    seconds = time.perf_counter() - began
    if not done.stdout.startswith(f"{items} done, 0 failed"):
        raise RuntimeError(f"not all of {items} items are done: {done.stdout.strip()}")
    return {"seconds": seconds}


def _command(model: str, items: int, milliseconds: float) -> list[str]:
    where = ("--workers", str(WORKERS), "--log-file", LOG, "--results", JOURNAL)
    job = (str(items), str(milliseconds))
    return [sys.executable, "-m", f"bench_{model}", "run", "--no-progress", *where, *job]


def _kill_one(command: Sequence[str], folder: Path) -> Figures:
    """Return the memory of all processes, and how long a killed worker was missing."""
    with _started(command, folder) as main:
        first = _until(lambda: _ready(folder, WORKERS))
        _until(lambda: _done(folder) >= MIDDLE)
        memory, killed = proportional_mb(main.pid), time.time()
        os.kill(first[0][1], signal.SIGKILL)
        replaced = _until(lambda: _ready(folder, WORKERS + 1))[-1][0]
    return {"memory_mb": memory, "seconds": replaced - killed}


@contextmanager
def _started(command: Sequence[str], folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command meanwhile, then stop it as an operator does."""
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
            process.terminate()
            process.wait(END_SECONDS)
        finally:
            process.kill()


def _until(look: Callable[[], Seen]) -> Seen:
    """Look again and again until there is something; return it.

    Raises:
        TimeoutError: There is nothing for too long.
    """
    deadline = time.monotonic() + SEE_SECONDS
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not seen within {SEE_SECONDS:g} s")
        time.sleep(0.01)  # the log tells the time to the millisecond
    return seen


def _ready(folder: Path, count: int) -> list[tuple[float, int]]:
    """Return when workers got ready, and their pids, once there are ``count`` of them."""
    log = folder / LOG
    found = READY.findall(log.read_text("utf-8") if log.exists() else "")
    at = [(datetime.fromisoformat(stamp), int(pid)) for stamp, pid in found]
    return [(when.timestamp(), pid) for when, pid in at] if len(found) >= count else []


def _done(folder: Path) -> int:
    """Return how many outcomes are committed."""
    uri = f"{(folder / JOURNAL).as_uri()}?mode=ro"
    with suppress(sqlite3.Error), closing(sqlite3.connect(uri, uri=True)) as journal:
        (count,) = journal.execute("SELECT COUNT(*) FROM outcomes").fetchone()
        return int(count)
    return 0
