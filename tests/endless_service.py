"""A generated service that runs until it is told to stop, and tells what it does."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from baked import BakedProject

DRAIN = 2
"""Seconds after --grace within which the service promises to be gone."""

JOB = '''
"""Items without end; each leaves an orphan behind, and says when it is done."""

import itertools
import logging
import os
import subprocess


def items(inputs):
    return ((str(number), number) for number in itertools.count())


def work(payload):
    subprocess.run(["/bin/sh", "-c", "true &"], check=True)
    logging.getLogger(__name__).info("item %d", payload)
    with open(os.environ["DONE"], "w") as done:
        done.write(f"{payload}\\n")
    return payload
'''


def default_grace(project: BakedProject) -> float:
    """Return the default of --grace, in seconds."""
    (settings,) = (text for name, text in project.files.items() if name.endswith("/settings.py"))
    found = re.search(rb"\bgrace: float = setting\(.*?([\d.]+),\s+\)", settings, re.DOTALL)
    assert found
    return float(found[1])


def give_endless_job(project: Path) -> None:
    """Replace what a project does."""
    next(project.glob("src/*/job.py")).write_text(JOB, "utf-8")


@dataclass(frozen=True)
class Service:
    """A service at work.

    Attributes:
        process: The command that was started.
        done: Has a line for each item that is done.
    """

    process: subprocess.Popen[str]
    done: BinaryIO

    def items(self, number: int) -> list[str]:
        """Wait until so many more items are done; return them."""
        return [self.done.readline().decode().strip() for _ in range(number)]

    def stop(self, grace: float, pid: int | None = None) -> int:
        """Stop it as `docker stop` and `systemctl stop` do; return its exit code."""
        os.kill(pid or self.process.pid, signal.SIGTERM)
        self.process.communicate(timeout=grace + DRAIN)
        return self.process.returncode


@contextmanager
def at_work(*command: str | Path, cwd: Path, env: dict[str, str]) -> Iterator[Service]:
    """Start a service that has the endless job, in an empty folder."""
    fifo = cwd.with_suffix(".done")
    os.mkfifo(fifo)
    process = subprocess.Popen(
        [*command, "run", "--no-progress", "-"],
        cwd=cwd,
        env=env | {"DONE": str(fifo)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Opened for reading and writing it is never at its end, whichever worker dies.
    with process, fifo.open("r+b", buffering=0) as done:
        try:
            yield Service(process, done)
        finally:
            process.kill()
            fifo.unlink()
