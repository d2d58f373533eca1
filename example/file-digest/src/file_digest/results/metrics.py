"""Counts for Prometheus, in a file that its node exporter or any other agent reads.

Main alone counts, from reports that it gets anyway: a worker that is killed takes no count with it,
and nothing is counted twice. https://prometheus.io/docs/instrumenting/exposition_formats/
"""

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from .. import PACKAGE
from ..items.backlog import Backlog
from ..items.messages import DONE, FAILED
from ..items.outcomes import Outcomes
from ..system.files import replace
from .live import Live

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

BOUNDS = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0),
)
"""Upper bounds of the histogram, in seconds."""
NAMES = (*map(str, BOUNDS), "+Inf")
FATES = ("rescued", "rescued", "lost")
"""The fate of records that did not reach the listener, in the order of ``Listener.losses``."""


class SecondsHistogram:
    """A histogram of the seconds that items took."""

    def __init__(self) -> None:
        """Begin with none."""
        self.counts, self.total = Counter[int](), 0.0

    def observe(self, seconds: Sequence[float]) -> None:
        """Count many at once; if all are in one bucket, as tiny items are, by two searches."""
        self.total += sum(seconds)
        first, last = bisect_left(BOUNDS, min(seconds)), bisect_left(BOUNDS, max(seconds))
        if first == last:
            self.counts[first] += len(seconds)
        else:
            self.counts.update(map(partial(bisect_left, BOUNDS), seconds))

    def buckets(self) -> list[tuple[str, float]]:
        """Return each upper bound in seconds, as text, and the number of items up to it."""
        sums = accumulate(self.counts[at] for at in range(len(NAMES)))
        return list(zip(NAMES, map(float, sums), strict=True))


class Metrics:
    """The metrics of a run, in Prometheus' text format."""

    def __init__(self, path: Path, backlog: Backlog, losses: Callable[[], list[int]]) -> None:
        """Count from zero; ``losses`` returns what ``Listener.losses`` does."""
        from prometheus_client import CollectorRegistry  # noqa: PLC0415 - only where it is wanted

        self.path = Path(os.path.realpath(path))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.backlog, self.losses = backlog, losses
        self.seconds, self.attempts = SecondsHistogram(), 0
        self.ended = {DONE: 0, FAILED: 0}
        self.live: Live | None = None
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def observe(self, outcomes: Outcomes) -> None:
        """Count outcomes, all at once."""
        seconds: Sequence[float] = outcomes.seconds
        if outcomes.postponed:
            kept = enumerate(seconds)
            seconds = [one for at, one in kept if at not in outcomes.postponed]
        if seconds:
            self.seconds.observe(seconds)
            self.attempts += outcomes.attempts * len(seconds)

    def write(self, live: Live) -> None:
        """Replace the file.

        Raises:
            OSError: It cannot be written.
        """
        from prometheus_client import generate_latest  # noqa: PLC0415 - only where it is wanted

        self.live = live
        replace(self.path, generate_latest(self.registry))

    def collect(self) -> "Iterator[Metric]":
        """Yield the metrics, as the library asks for them."""
        if self.live:
            yield from self._counters(self.live)
            yield from self._gauges(self.live)

    def _counters(self, live: Live) -> "Iterator[Metric]":
        from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily  # noqa: PLC0415

        # The journal may correct an outcome later, and Prometheus takes a counter that sinks for
        # one that was reset.
        for status, count in ((DONE, live.done), (FAILED, live.failed)):
            self.ended[status] = max(self.ended[status], count)
        diverted = Counter(dict.fromkeys(FATES, 0))
        for fate, count in zip(FATES, self.losses(), strict=True):
            diverted[fate] += count
        labelled: list[tuple[str, str, str, Mapping[str, int]]] = [
            ("items", "Items that ended.", "outcome", self.ended),
            ("workers_replaced", "Workers that went.", "reason", self.backlog.events.replaced),
            ("log_records_diverted", "Records that are not in the log.", "fate", diverted),
        ]
        for name, text, label, counts in labelled:
            family = CounterMetricFamily(f"{PACKAGE}_{name}", text, labels=[label])
            for value, count in counts.items():
                family.add_metric([value], count)
            yield family
        text = "Attempts that the items which ended have taken."
        yield CounterMetricFamily(f"{PACKAGE}_attempts", text, self.attempts)
        histogram = HistogramMetricFamily(f"{PACKAGE}_item_seconds", "How long items took.")
        histogram.add_metric([], self.seconds.buckets(), self.seconds.total)
        yield histogram

    def _gauges(self, live: Live) -> "Iterator[Metric]":
        from prometheus_client.core import GaugeMetricFamily  # noqa: PLC0415

        workers = live.workers
        busy = sum(worker.item is not None for worker in workers)
        gauges = {
            "items_waiting": ("Items that were read and are not begun.", live.waiting),
            "workers": ("Workers that are ready for items.", len(workers)),
            "workers_busy": ("Workers that have an item.", busy),
            "main_memory_bytes": ("Memory of the main process.", live.memory),
            "workers_memory_bytes": ("Memory of all workers.", sum(one.memory for one in workers)),
        }
        if live.unsettled is not None:
            text = "Committed outcomes that settled() has yet to take."
            gauges["outcomes_unsettled"] = (text, live.unsettled)
        for name, (text, value) in gauges.items():
            yield GaugeMetricFamily(f"{PACKAGE}_{name}", text, value)
