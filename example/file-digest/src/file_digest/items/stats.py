"""Counts and state of one run so far."""

import logging
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from ..settings import Share
from ..system.errors import error_name
from .backlog import Backlog, CurrentItems
from .messages import DONE, FAILED
from .outcomes import Change, Outcomes

log = logging.getLogger(__name__)

ENOUGH_FOR_SHARE = 20
"""Number of items below which a share means nothing."""
MOST_NAMES = 1_000
"""Distinct errors to count: an endless run may have an endless number of them."""


def pace(rate: float, idle_since: float | None) -> str:
    """Return the rate of a run as text, or since when it is idle."""
    if idle_since is None:
        return f"{rate:.1f} items/s"
    return time.strftime("idle since %H:%M:%S", time.localtime(idle_since))


@dataclass(slots=True)
class RunStats:
    """Counts and state of one run so far."""

    done: int = 0
    failed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """Items that earlier runs finished, by their status."""
    current_items: CurrentItems = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    signal: int | None = None
    """Number of the signal that stopped the run early."""
    twice: int = 0
    """Keys that came again, in this run."""
    errors: Counter[str] = field(default_factory=Counter)
    """Number of items that failed with an error, by its name."""
    idle_since: float | None = None
    """Since when there is nothing to do, by ``time.time``; None while there is."""
    unsettled: int | None = None
    """Committed outcomes that ``settled`` has yet to take; None for a job without it."""
    halted: bool = False
    """Whether too many items failed."""

    def exceeds(self, limit: Share | None) -> bool:
        """Whether as many items have failed as ``--max-failures`` allows."""
        if limit is None or not self.failed:
            return False
        if not limit.is_percentage:
            return self.failed >= limit.amount
        enough = self.finished >= ENOUGH_FOR_SHARE
        return enough and 100 * self.failed >= limit.amount * self.finished

    @property
    def finished(self) -> int:
        """Items that are done or failed, in this run."""
        return self.done + self.failed

    @property
    def rate(self) -> float:
        """Items a second since the run began."""
        return self.finished / self.seconds if self.seconds else 0.0

    def add(self, outcomes: Outcomes) -> None:
        """Count outcomes, and log those that failed."""
        failures = outcomes.failures
        self.done += len(outcomes) - len(failures)
        self.failed += len(failures)
        for outcome in failures:
            name, at = error_name(outcome.error or ""), {"item": outcome.key}
            if name in self.errors or len(self.errors) < MOST_NAMES:
                self.errors[name] += 1
            log.warning("item %s failed: %s", outcome.key, name, extra=at)
        self.seconds = time.monotonic() - self.began
        if outcomes.keys:
            self.idle_since = None

    def observe(self, backlog: Backlog) -> None:
        """Note the workers' current items, and since when the run is idle.

        It stays idle while the source repeats items that are done.
        """
        self.current_items = backlog.current_items
        if self.current_items or not backlog.is_empty:
            self.idle_since = None
        elif self.idle_since is None and backlog.is_idle:
            self.idle_since = time.time()

    def correct(self, changes: Iterable[Change]) -> None:
        """Correct the counts by outcomes that the journal changed or dropped, and log them."""
        for change in changes:
            self.done -= change.was == DONE
            self.failed -= change.was == FAILED
            if change.error:
                self.failed += 1
                at = {"item": change.key}
                log.warning("item %.200s failed: %s", change.key, change.error, extra=at)
            else:
                self.twice += 1
                log.warning("key %s was yielded twice: its first outcome stays", change.key)


class Progress(AbstractContextManager["Progress"], Protocol):
    """Shows the progress of a run, from its beginning to its end."""

    def show(self, stats: RunStats) -> None:
        """Show the state of the run, unless that was just done."""

    def note(self, text: str) -> None:
        """Show an important message at once."""
