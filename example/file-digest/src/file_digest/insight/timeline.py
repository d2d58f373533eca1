"""The timeline: items and workers over time, from the journal, small enough for a picture.

It holds where, when and with what outcome items were done, when workers started and died, and which
attempts ended with their worker. Of many items it holds the long ones and sums the others by lane
and column of time, so that neither memory nor picture grows with the journal.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappush, heapreplace
from itertools import chain
from pathlib import Path

from ..items.events import DIED, KILLED, START_FAILED, STARTED, WorkerEvent
from ..items.messages import DONE, FAILED, Outcome
from ..results.reading import rows, worker_events

NOBODY = "main"
"""The lane of items that could not be sent to any worker."""
OTHERS = "other workers"
SAME_RUN_SECONDS = 60.0
"""Longest pause between two items, or an item and an event of a worker, of one run."""
LAST_SECOND = 1e12
"""A later time, in seconds since the epoch, is of a damaged row."""
MARKS = (STARTED, START_FAILED, DIED)
AGAIN = "again"
"""The kind of cell that counts items that needed more than one attempt."""

SINGLE_ITEMS = 15_000
"""The most items that are shown one by one; of more, only those that are longer than a column."""
CELLS = 16_000
"""Lanes times columns."""
OWN_LANES = 100
"""Workers that have a lane each; more of them share: those of which one follows the other."""
MOST_LANES, MOST_WORKERS, MOST_MARKS = 1_000, 20_000, 4_000
KEPT_RUNS = 20
KEY_CHARACTERS, ERROR_CHARACTERS = 200, 600
"""The first characters of a key are kept, and the last of an error."""


@dataclass(slots=True)
class Cell:
    """The items of one kind in one lane and column."""

    items: int = 0
    """Number of those that began in this column."""
    seconds: float = 0.0
    """Time that they take in this column."""
    key: str = ""
    """Key of the first of them."""


@dataclass(slots=True)
class Grid:
    """A stretch of time in columns."""

    begin: float
    width: float
    """Seconds of a column."""
    columns: int
    cells: dict[str, dict[int, Cell]] = field(default_factory=dict)
    """Kind to lane * ``columns`` + column to cell; a kind is an item's status, or ``AGAIN``."""

    def add(self, lane: int, item: Outcome) -> None:
        """Count an item where it began, and its time there and in the column after that."""
        since = item.started - self.begin
        column = max(0, min(int(since / self.width), self.columns - 1))
        over = max(0.0, since + item.seconds - (column + 1) * self.width)
        cell = self._cell(item.status, lane, column, item.key)
        cell.items += 1
        cell.seconds += item.seconds - over
        if over and column + 1 < self.columns:
            self._cell(item.status, lane, column + 1, "").seconds += min(over, self.width)
        if item.attempts > 1:
            self._cell(AGAIN, lane, column, item.key).items += 1

    def _cell(self, kind: str, lane: int, column: int, key: str) -> Cell:
        cells = self.cells.setdefault(kind, {})
        at = lane * self.columns + column
        if (cell := cells.get(at)) is None:
            cell = cells[at] = Cell()
        if not cell.key:
            cell.key = key
        return cell


@dataclass(slots=True)
class Extent:
    """The first pass: count items, and find when each run and each worker began and ended."""

    counts: Counter[str] = field(default_factory=Counter)
    begin: float = LAST_SECOND
    end: float = -LAST_SECOND
    runs: list[list[float]] = field(default_factory=list)
    """Begin and end of the last ones, to judge by the pauses between them."""
    workers: dict[str, list[float]] = field(default_factory=dict)
    """Name to begin and end."""

    def add(self, item: Outcome) -> None:
        """Take in an item; they may come in any order."""
        begin, end = item.started, item.started + item.seconds
        self.counts[item.status] += 1
        self.begin, self.end = min(self.begin, begin), max(self.end, end)
        self.add_worker(item.worker or NOBODY, begin, end)
        if self.runs and self.runs[-1][0] <= begin <= self.runs[-1][1] + SAME_RUN_SECONDS:
            self.runs[-1][1] = max(self.runs[-1][1], end)
        else:
            self._add_run(begin, end)

    def add_worker(self, name: str, begin: float, end: float) -> None:
        """Note that a worker was there."""
        if (life := self.workers.get(name)) is None:
            name = name if len(self.workers) < MOST_WORKERS else OTHERS
            life = self.workers.setdefault(name, [begin, end])
        life[0], life[1] = min(life[0], begin), max(life[1], end)

    def _add_run(self, begin: float, end: float) -> None:
        runs: list[list[float]] = []
        for run in sorted([*self.runs, [begin, end]]):
            if runs and run[0] <= runs[-1][1] + SAME_RUN_SECONDS:
                runs[-1][1] = max(runs[-1][1], run[1])
            else:
                runs.append(run)
        self.runs = runs[-KEPT_RUNS:]


@dataclass(slots=True)
class Timeline:
    """The data of a picture, whether it is drawn as a page or written as a trace."""

    extent: Extent
    lanes: list[str] = field(default_factory=list)
    """Names of workers; where they share a lane, the first one's and how many there are."""
    items: list[tuple[int, Outcome]] = field(default_factory=list)
    """Lane and item, by the time at which they began; with the attempts that left no outcome, as
    ``KILLED``."""
    grids: list[Grid] = field(default_factory=list)
    """The items that are not shown one by one: of earlier runs, and of the last one."""
    marks: list[tuple[int, WorkerEvent]] = field(default_factory=list)
    """Lane and event: when workers started, failed to start and died; the last ``MOST_MARKS``."""
    all_marks: int = 0

    @property
    def count(self) -> int:
        """Return the number of items, without attempts that left no outcome."""
        return self.extent.counts.total() - self.extent.counts[KILLED]

    @property
    def summary(self) -> str:
        """Count items, attempts without an outcome, and workers, in one line."""
        killed = self.extent.counts[KILLED]
        attempts = f", {killed} attempts killed" if killed else ""
        more = "more than " if OTHERS in self.extent.workers else ""
        return f"{self.count} items{attempts}, {more}{len(self.extent.workers)} workers"


def collect(results: Path, damaged: Callable[[str, str], None]) -> Timeline:
    """Read a journal, twice; also while a run writes to it.

    Events of a run whose items were all done again later are not shown.

    Args:
        results: The journal.
        damaged: See ``rows``; a row that does not say when it was is not drawn.

    Raises:
        JournalError: There is no journal at ``results``.
    """
    events = [event for event in worker_events(results, damaged) if _is_time(event.at)]
    killed = [*filter(_has_times, (_killed(one) for one in events if one.kind == KILLED))]
    extent = Extent()
    for item in chain(_drawable(results, damaged), killed):
        extent.add(item)
    if not extent.runs:
        return Timeline(extent)
    begin, end = extent.begin - SAME_RUN_SECONDS, extent.end + SAME_RUN_SECONDS
    marks = [one for one in events if one.worker and one.kind in MARKS and begin <= one.at <= end]
    for mark in marks:
        extent.add_worker(mark.worker, mark.at, mark.at)
    lanes, lane_of = _lanes(extent.workers)
    shown = [(lane_of.get(one.worker, lane_of.get(OTHERS, 0)), one) for one in marks[-MOST_MARKS:]]
    timeline = Timeline(extent, lanes, marks=shown, all_marks=len(marks))
    _fill(timeline, lane_of, chain(_drawable(results, lambda *_: None), killed))
    return timeline


def _fill(timeline: Timeline, lane_of: dict[str, int], items: Iterable[Outcome]) -> None:
    """Take in single items, and sum the others."""
    extent, last = timeline.extent, timeline.extent.runs[-1][0]
    singly = extent.counts.total() <= SINGLE_ITEMS
    columns = max(1, CELLS // len(timeline.lanes))
    if not singly:
        before = _grid(extent.begin, last, columns // 4 + 1)
        timeline.grids = [before, _grid(last, extent.end, columns)]
    for item in items:
        # A run may have added some of a worker that was not there yet.
        lane = lane_of.get(item.worker or NOBODY, lane_of.get(OTHERS))
        if lane is None:
            continue
        grid = None if singly else timeline.grids[item.started >= last]
        if grid and (item.seconds < grid.width or len(timeline.items) >= SINGLE_ITEMS):
            grid.add(lane, item)
        elif len(timeline.items) < SINGLE_ITEMS:
            timeline.items.append((lane, item))
    timeline.items.sort(key=lambda one: one[1].started)


def _grid(begin: float, end: float, columns: int) -> Grid:
    return Grid(begin, max(end - begin, 1e-6) / columns, columns)


def _lanes(workers: dict[str, list[float]]) -> tuple[list[str], dict[str, int]]:
    """Return the lanes' names, and each worker's lane."""
    if len(workers) <= OWN_LANES:
        names = sorted(workers, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])
        return names, {name: lane for lane, name in enumerate(names)}
    lane_of: dict[str, int] = {}
    ends: list[tuple[float, int]] = []
    for name, (begin, end) in sorted(workers.items(), key=lambda one: one[1]):
        if ends and (ends[0][0] <= begin or len(ends) == MOST_LANES):
            lane = ends[0][1]
            heapreplace(ends, (end, lane))
        else:
            lane = len(ends)
            heappush(ends, (end, lane))
        lane_of[name] = lane
    firsts = {lane: name for name, lane in reversed(lane_of.items())}
    more = Counter(lane_of.values())
    return [f"{firsts[lane]} +{more[lane] - 1}" for lane in sorted(firsts)], lane_of


def _drawable(results: Path, damaged: Callable[[str, str], None]) -> Iterator[Outcome]:
    return map(_mended, filter(_has_times, rows(results, damaged, without=("result",))))


def _has_times(item: Outcome) -> bool:
    """Whether a row has them; a damaged one may lack anything."""
    return _is_time(item.started) and _is_time(item.seconds)


def _is_time(value: object) -> bool:
    return isinstance(value, float) and abs(value) < LAST_SECOND


def _killed(event: WorkerEvent) -> Outcome:
    """Return a killed attempt as if it were an outcome."""
    began, seconds = event.at - (event.seconds or 0.0), event.seconds or 0.0
    key, tried = event.key or "", event.attempt or 1
    attempt = Outcome(key, KILLED, None, event.detail, tried, event.worker, began, seconds)
    return _mended(attempt)


def _mended(item: Outcome) -> Outcome:
    """Return an item with texts of bounded length, and with texts and numbers where they belong."""
    plain = item.status == DONE and item.error is None and len(item.key) <= KEY_CHARACTERS
    if plain and type(item.worker) is str and type(item.attempts) is int:
        return item  # as most are
    error = None if item.error is None else str(item.error)[-ERROR_CHARACTERS:]
    return item._replace(
        key=item.key[:KEY_CHARACTERS],
        status=item.status if item.status == KILLED else DONE if error is None else FAILED,
        error=error,
        attempts=item.attempts if type(item.attempts) is int else 1,
        worker=str(item.worker or ""),
    )
