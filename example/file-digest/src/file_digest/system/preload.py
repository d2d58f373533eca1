"""Main's side of ``--preload``: the request to a forkserver, and its result.

    main ── Request, in a file that VARIABLE names ──▶ forkserver, see ``preloading``
    main ◀── Result, in a file named by its pid ───────┘

Files, because multiprocessing passes its forkserver nothing but the names of modules.
"""

import os
import pickle
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from logging import LogRecord
from multiprocessing import util
from pathlib import Path

from .. import PACKAGE
from .inheritance import SIGKILL

MODULE = "preloading"
"""The module with which a forkserver imports the job."""
VARIABLE = f"_{PACKAGE.upper()}_PRELOAD"
DIED = "the forkserver died"
LATE = "the import took longer than --start-timeout"


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a forkserver: import the job as a worker would."""

    log_level: str
    log_levels: Mapping[str, str]
    capture_output: bool
    main: int = field(default_factory=os.getpid)
    path: list[str] = field(default_factory=lambda: list(sys.path))
    arguments: list[str] = field(default_factory=lambda: list(sys.argv))


@dataclass(frozen=True, slots=True)
class Result:
    """The result of that import."""

    pid: int
    problem: str = ""
    """The reason why the job is not imported; empty if it is."""
    seconds: float = 0.0
    records: Sequence[LogRecord] = ()
    output: Sequence[bytes] = ()
    """Lines that were printed."""
    threads: Sequence[str] = ()
    """Names of threads that the import has started."""


def result_file(request: str, pid: int) -> Path:
    """Return the file for the result of the forkserver with that process id."""
    return Path(f"{request}-{pid}")


class Preload:
    """Main's record of its forkserver's import of the job."""

    def __init__(self) -> None:
        """Ask for no import."""
        self.wanted = False
        self.pid = self.killed = 0
        self.done = True
        self.seconds = self.deadline = 0.0
        self.file = ""
        self.report: Callable[[Result], None] = lambda _: None

    def ask(self, request: Request, seconds: float, report: Callable[[Result], None]) -> None:
        """Make each forkserver that is started from now on import the job.

        Args:
            request: Details of the import.
            seconds: Longest time that each import may take.
            report: Called with each result.
        """
        self.file = str(Path(util.get_temp_dir(), "preload"))
        self.seconds, self.report = seconds, report
        Path(self.file).write_bytes(pickle.dumps(request))
        self.wanted = True

    def ask_for_import(self) -> bool:
        """Return whether a forkserver is to import ``MODULE``, which finds the request then."""
        if self.wanted:
            os.environ[VARIABLE] = self.file  # the job may have removed it
        return self.wanted

    @property
    def is_pending(self) -> bool:
        """Whether ``look`` has to be asked before a process is started."""
        return self.wanted or bool(self.killed)

    def look(self, pid: int) -> bool:
        """Return whether the forkserver, with process id ``pid``, is ready."""
        if self.wanted and pid != self.pid:
            died, self.pid, self.done = not self.done, pid, False
            self.deadline = time.monotonic() + self.seconds
            if died:
                self._give_up(DIED)
        if self.wanted and not self.done:
            self._take_result()
        return self.done and pid != self.killed

    def cancel(self) -> None:
        """Give up the import; kill a forkserver that is busy with it."""
        self.wanted = False
        if not self.done:
            self.killed, self.done = self.pid, True
            with suppress(ProcessLookupError):
                os.kill(self.pid, SIGKILL)

    def _take_result(self) -> None:
        file = result_file(self.file, self.pid)
        if file.exists():
            self.done = True
            self.report(pickle.loads(file.read_bytes()))
            file.unlink()
        elif time.monotonic() > self.deadline:
            self._give_up(LATE)

    def _give_up(self, problem: str) -> None:
        """Leave the import to each worker, which reports its own error."""
        self.cancel()
        self.report(Result(self.pid, problem))


preload = Preload()
"""Main's own, as multiprocessing's forkserver is."""
