"""Events in the lives of workers, for programs to read; people read the log."""

import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

STARTED = "started"
"""A worker is ready for items."""
START_FAILED = "failed to start"
"""A worker ended before it was ready."""
DIED = "died"
"""A worker that was ready ended too early, or was killed at a time limit."""
KILLED = "killed"
"""An attempt at an item ended with its worker and left no outcome: the item is tried again, now or
in a later run."""
RECYCLED, TIMED_OUT, TOO_LARGE = "recycled", "timed out", "too large"
"""Further reasons to replace a worker: see ``WorkerEvents.replaced``."""
KEPT_EVENTS = 100_000
"""The number of newest events to keep: those of an endless service would fill the disk."""


class WorkerEvent(NamedTuple):
    """One event; its fields are the columns of the journal's table ``events``, in their order."""

    at: float
    """Seconds since the epoch."""
    worker: str
    """Its name; empty for one that could not be started at all."""
    kind: str
    """``STARTED``, ``START_FAILED``, ``DIED`` or ``KILLED``."""
    pid: int | None = None
    detail: str = ""
    """The reason."""
    key: str | None = None
    """The item of a ``KILLED`` attempt."""
    attempt: int | None = None
    """Its number, from 1; None where the end of the run cut it off."""
    seconds: float | None = None
    """Seconds that the attempt had taken by ``at``."""


@dataclass(frozen=True, slots=True)
class WorkerNow:
    """The state of a worker at this moment."""

    name: str
    pid: int
    item: str | None
    """The key of its item; None while it has none."""
    since: float | None
    """Start of that item, in seconds since the epoch."""
    memory: int
    """Its resident memory in bytes; 0 where nobody knows."""


class WorkerEvents:
    """Events on their way from the supervisor, which notes them, to the journal."""

    def __init__(self, kept: int = KEPT_EVENTS) -> None:
        """Begin empty; keep the last ``kept`` events, here and in the journal."""
        self.kept = kept
        self.pending: deque[WorkerEvent] = deque(maxlen=kept)
        self.replaced: Counter[str] = Counter()
        """Number of workers that had to be replaced in this run, by cause: ``DIED``,
        ``START_FAILED``, ``TIMED_OUT``, ``TOO_LARGE`` or ``RECYCLED``."""

    def note(self, kind: str, worker: str, detail: str = "", pid: int | None = None) -> None:
        """Note that something happened to a worker, now."""
        self.pending.append(WorkerEvent(time.time(), worker, kind, pid, detail))

    def note_killed(
        self, worker: str, reason: str, key: str, seconds: float, attempt: int | None = None
    ) -> None:
        """Note that an attempt at an item ended, now, with its worker."""
        event = WorkerEvent(time.time(), worker, KILLED, None, reason, key, attempt, seconds)
        self.pending.append(event)

    def note_cut_off(self, at_work: Mapping[str, tuple[str, float]]) -> None:
        """Note that the end of the run ends attempts at items.

        Args:
            at_work: Worker's name to its item's key, and its start by ``time.monotonic``.
        """
        now = time.monotonic()
        for worker, (key, since) in at_work.items():
            self.note_killed(worker, "the run ended", key, now - since)
