"""What one run did so far."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..system.errors import error_name
from .backlog import CurrentItems
from .messages import DONE, FAILED
from .outcomes import Change, Outcomes

log = logging.getLogger(__name__)


@dataclass(slots=True)
class RunStats:
    """What one run did so far."""

    done: int = 0
    failed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """Items that earlier runs settled, by their status."""
    current_items: CurrentItems = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    signal: int | None = None
    """What stopped the run early."""
    twice: int = 0
    """Keys that came again, in this run."""

    def add(self, outcomes: Outcomes) -> None:
        """Count outcomes, and log those that failed."""
        failures = outcomes.failures
        self.done += len(outcomes) - len(failures)
        self.failed += len(failures)
        for outcome in failures:
            name, at = error_name(outcome.error or ""), {"item": outcome.key}
            log.warning("item %s failed: %s", outcome.key, name, extra=at)
        self.seconds = time.monotonic() - self.began

    def correct(self, changes: Iterable[Change]) -> None:
        """Count what the journal did not take as it came, and log it."""
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
