"""The start of many workers whose job takes long to import, each by itself and with --preload."""

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .harness import Figures

PRELOADED, EACH = "ours, --preload", "ours, each imports it"
MODEL = "process"
JOB = '''
import time
from pathlib import Path

HERE = Path(__file__).parent
until = time.process_time() + {seconds}
while time.process_time() < until:
    pass


def items(inputs):
    return ((str(number), number) for number in range(int(inputs[0])))


def work(number):
    """Hold this worker until each other has an item as well."""
    (HERE / f"at-{{number}}").touch()
    while len(list(HERE.glob("at-*"))) < {workers}:
        time.sleep(0.2)
'''
"""Its import takes so many seconds of CPU."""


def contestants() -> Sequence[str]:
    """Return both ways, in the service with worker processes."""
    return EACH, PRELOADED


def measure(name: str, options: dict[str, Any], folder: Path) -> Figures:
    """Measure the time from the command's start until the last worker is ready."""
    workers, seconds = options["workers"], options["seconds"]
    package = f"bench_{MODEL}"
    found = find_spec(package)
    if not (found and found.origin):
        raise RuntimeError(f"{package} is not there")
    shutil.copytree(Path(found.origin).parent, folder / package)
    job = JOB.format(seconds=seconds, workers=workers)
    (folder / package / "job.py").write_text(job, encoding="utf-8")
    option = "--preload" if name == PRELOADED else "--no-preload"
    command = [sys.executable, "-m", package, "run", str(workers), "--workers", str(workers)]
    paths = os.pathsep.join([str(folder), *sys.path])
    began = time.time()
    subprocess.run(
        [*command, option, "--start-timeout", "600"],
        cwd=folder, env=os.environ | {"PYTHONPATH": paths}, capture_output=True, check=True,
    )  # fmt: skip
    return {"ready_s": _last_ready(folder / "results.db", workers) - began}


def _last_ready(journal: Path, workers: int) -> float:
    with closing(sqlite3.connect(journal)) as database:
        query = "SELECT COUNT(*), MAX(at) FROM events WHERE kind = 'started'"
        count, last = database.execute(query).fetchone()
    if count != workers:
        raise RuntimeError(f"{count} of {workers} workers were ready")
    return float(last)
