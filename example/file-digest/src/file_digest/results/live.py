"""The state of a run: a small file beside its journal, which main rewrites every second.

The file alone proves nothing, because a killed main leaves it. A run lives as long as it holds the
lock of the journal, and is not stuck as long as it goes on writing this file.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from ..items.events import WorkerNow
from ..items.stats import pace
from .database import is_locked
from .keys import LIVE, beside, real_file

STUCK_SECONDS = 4.0
"""Main writes every second, and no turn of its loop takes longer than one, even when it idles."""

LOOKS, LOOK_SECONDS = 5, 0.01
"""Attempts to read a file that is half written, and seconds between two of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The state of a run at this moment: times in seconds since the epoch, sizes in bytes."""

    pid: int
    began: float
    done: int
    failed: int
    rate: float
    """Items a second, in the last ten seconds."""
    waiting: int
    """Items that were read and are not begun."""
    idle_since: float | None
    memory: int
    """Of main itself."""
    unsettled: int | None = None
    """Committed outcomes that ``settled`` has yet to take; None for a job without it."""
    workers: list[WorkerNow] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """The counts, the rate and the idle time in one line, for people."""
        counts = f"{self.done} done, {self.failed} failed, {self.waiting} waiting"
        behind = f", {self.unsettled} not settled" if self.unsettled else ""
        return f"{counts}{behind}, {pace(self.rate, self.idle_since)}"

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read what ``LiveFile`` wrote.

        Raises:
            ValueError, TypeError, KeyError: It is damaged, or of another version.
        """
        values = json.loads(data)
        workers = [WorkerNow(**worker) for worker in values.pop("workers")]
        return cls(**values, workers=workers)


@dataclass(frozen=True, slots=True)
class Sign:
    """A run's last sign of life."""

    live: Live
    age: float
    """Seconds since it came."""

    @property
    def is_stuck(self) -> bool:
        """Whether main's loop hangs: its last sign is too old, or in the future."""
        return abs(self.age) > STUCK_SECONDS


class LiveFile:
    """The file, as main writes it."""

    def __init__(self, results: Path) -> None:
        """Write nothing yet."""
        self.path = beside(real_file(results), LIVE)
        self.written = b""

    def write(self, live: Live) -> None:
        """Write the state of the run; if it has not changed, only set the file's time.

        Raises:
            OSError: It cannot be written.
        """
        data = json.dumps(asdict(live)).encode()
        if data == self.written and self.path.exists():
            os.utime(self.path)
            return
        # In place: a new file that takes the other's would come and go in a folder that may be the
        # job's input. Who reads half of each sees that it is no JSON, and reads again.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        with open(descriptor, "wb", buffering=0) as file:
            file.write(data)
            file.truncate(len(data))
        self.written = data

    def remove(self) -> None:
        """Remove it.

        Raises:
            OSError: It cannot be removed.
        """
        self.path.unlink(missing_ok=True)


def is_running(results: Path) -> bool:
    """Whether a run works on a journal, stuck or not.

    Raises:
        JournalError: That cannot be found out.
    """
    return is_locked(real_file(results))


def last_sign(results: Path) -> Sign | None:
    """Return the last sign of the run that works on a journal; None where there is none.

    Raises:
        JournalError: That cannot be found out.
    """
    if not is_running(results):
        return None
    for _ in range(LOOKS):
        try:
            with beside(real_file(results), LIVE).open("rb") as file:
                age = time.time() - os.fstat(file.fileno()).st_mtime
                return Sign(Live.from_json(file.read()), age)
        except OSError:
            return None
        except (ValueError, TypeError, KeyError):  # it is being written
            time.sleep(LOOK_SECONDS)
    return None
