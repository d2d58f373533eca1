"""Report the state of the run once a second: to ``status``, to systemd, to Prometheus."""

import logging
import os
import time
from collections import deque
from collections.abc import Callable

from ..items.backlog import Backlog
from ..items.outcomes import Outcomes
from ..items.stats import RunStats
from ..settings import Settings
from ..system.memory import used_by
from ..system.notify import Notifier
from .live import Live, LiveFile
from .metrics import Metrics

log = logging.getLogger(__name__)

INTERVAL = 1.0
RATE_BEATS = 10
"""Number of beats for the rate: the average of an always-on service would be over days."""


class Heartbeat:
    """Reports the run's state. Main's loop itself calls this, so a loop that is stuck shows."""

    def __init__(
        self,
        settings: Settings,
        stats: RunStats,
        backlog: Backlog,
        losses: Callable[[], list[int]],
    ) -> None:
        """Write nothing yet; ``losses`` is ``Listener.losses``."""
        self.stats, self.backlog = stats, backlog
        self.file, self.notifier = LiveFile(settings.results), Notifier()
        self.metrics = Metrics(path, backlog, losses) if (path := settings.metrics) else None
        self.interval = min(INTERVAL, self.notifier.interval)
        self.due, self.began, self.has_failed = 0.0, time.time(), False
        self._try(self.file.remove)  # what a killed run has left
        self.past = deque([(time.monotonic(), 0)], RATE_BEATS)
        """Times of the last beats, and the number of finished items at each."""

    def turn(self, outcomes: Outcomes) -> None:
        """Count outcomes; report the state of the run once a second."""
        if self.metrics:
            self.metrics.observe(outcomes)
        if time.monotonic() >= self.due:
            self.due = time.monotonic() + self.interval
            self._try(self._beat)

    def close(self) -> None:
        """Report the end of the run: write the last metrics, remove the live file."""
        self.notifier.stopping()
        self._try(self._write_metrics)
        self._try(self.file.remove)

    def _try(self, write: Callable[[], None]) -> None:
        """Go on if something cannot be written: only an error of the journal ends a run."""
        try:
            write()
        except OSError as error:
            if not self.has_failed:
                log.warning("the state of the run cannot be written: %s", error)
            self.has_failed = True

    def _beat(self) -> None:
        live = self._live()
        self.notifier.beat(live.summary)
        if self.backlog.stopped:
            self.notifier.stopping()
        self.file.write(live)
        self._write_metrics(live)

    def _write_metrics(self, live: Live | None = None) -> None:
        if self.metrics:
            self.metrics.write(live or self._live())

    def _live(self) -> Live:
        stats, backlog = self.stats, self.backlog
        now, (then, before) = time.monotonic(), self.past[0]
        self.past.append((now, stats.finished))
        return Live(
            pid=os.getpid(),
            began=self.began,
            done=stats.done,
            failed=stats.failed,
            rate=round((stats.finished - before) / max(now - then, 1e-3), 1),
            waiting=backlog.not_begun,
            idle_since=stats.idle_since,
            memory=used_by(os.getpid()),
            unsettled=stats.unsettled,
            workers=backlog.workers_now(),
        )
