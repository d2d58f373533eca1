"""The timeline: a picture, from the journal, of who did what when.

It holds which item was done where, when and how, when workers came and went, and which attempts at
items ended with their worker.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, TextIO

from ..items.events import DIED, KILLED, START_FAILED, STARTED, WorkerEvent
from ..items.messages import Outcome
from ..results.reading import rows, worker_events

NOBODY = "main"
"""The lane of items that could not be sent to any worker."""
SAME_RUN_SECONDS = 60.0
"""Between items, or between them and what happened to workers."""
LAST_SECOND = 1e12
"""No clock tells a later one, only a damaged row."""
MICROSECONDS = 1e6
MARKS = (STARTED, START_FAILED, DIED)
DATA = "TIMELINE_DATA"
"""Stands in ``timeline.html`` where the data belong."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The items and events to show."""

    items: list[Outcome]
    """By the time at which they began; with the attempts that left no outcome, as ``KILLED``."""
    marks: list[WorkerEvent]
    """When workers started, failed to start and died."""

    @property
    def summary(self) -> str:
        """Count items, attempts without an outcome, and workers, in one line."""
        killed = sum(item.status == KILLED for item in self.items)
        attempts = f", {killed} attempts killed" if killed else ""
        return f"{len(self.items) - killed} items{attempts}, {len(self.lanes)} workers"

    @property
    def lanes(self) -> list[str]:
        """The workers, by number."""
        names = {_lane(item) for item in self.items} | {mark.worker for mark in self.marks}
        return sorted(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def collect(results: Path, damaged: Callable[[str, str], None]) -> Timeline:
    """Read a journal, also while a run writes to it.

    Events of a run whose items were all done again later are not shown.

    Args:
        results: The journal.
        damaged: See ``rows``; a row that does not say when it was is not drawn.

    Raises:
        JournalError: There is no journal at ``results``.
    """
    events = [event for event in worker_events(results, damaged) if _is_time(event.at)]
    killed = (_attempt(event) for event in events if event.kind == KILLED)
    drawable = (item for item in chain(rows(results, damaged), killed) if _has_times(item))
    items = sorted(drawable, key=lambda item: item.started)
    if not items:
        return Timeline([], [])
    begin = items[0].started - SAME_RUN_SECONDS
    end = max(item.started + item.seconds for item in items) + SAME_RUN_SECONDS
    marks = (event for event in events if event.worker and event.kind in MARKS)
    return Timeline(items, [mark for mark in marks if begin <= mark.at <= end])


def write_trace(timeline: Timeline, file: TextIO) -> None:
    """Write what Perfetto, chrome://tracing and speedscope open: Trace Event format.

    https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """
    lanes = {name: number for number, name in enumerate(timeline.lanes, 1)}
    items: dict[str, list[Outcome]] = {name: [] for name in lanes}
    for item in timeline.items:
        items[_lane(item)].append(item)
    events = chain(
        (_named(name, number) for name, number in lanes.items()),
        *(_bars(items[name], number) for name, number in lanes.items()),
        (_instant(mark, lanes[mark.worker]) for mark in timeline.marks),
    )
    file.write('{"displayTimeUnit": "ms", "traceEvents": [\n')
    file.write(",\n".join(map(json.dumps, events)))
    file.write("\n]}\n")


def write_html(timeline: Timeline, file: TextIO, *, title: str) -> None:
    """Write a page that shows it in any browser, without a network."""
    page = resources.files(__package__).joinpath("timeline.html").read_text(encoding="utf-8")
    # No name can end the script element that it is in, nor begin a comment there:
    # https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements
    data = json.dumps(_columns(timeline, title), separators=(",", ":")).replace("<", "\\u003c")
    file.write(page.replace(DATA, data))


def _columns(timeline: Timeline, title: str) -> dict[str, Any]:
    """Return what the page needs, by column: that is half the size of one object for each item."""
    lanes = {name: number for number, name in enumerate(timeline.lanes)}
    items, begin = timeline.items, timeline.items[0].started
    return {
        "title": title,
        "begin": begin,
        "view": round(_last_run(items) - begin, 6),
        "lanes": list(lanes),
        "key": [item.key for item in items],
        "lane": [lanes[_lane(item)] for item in items],
        "start": [round(item.started - begin, 6) for item in items],
        "seconds": [round(item.seconds, 6) for item in items],
        "attempts": [item.attempts for item in items],
        "errors": {at: item.error for at, item in enumerate(items) if item.error is not None},
        "killed": [at for at, item in enumerate(items) if item.status == KILLED],
        "marks": [
            {
                "lane": lanes[mark.worker],
                "time": round(mark.at - begin, 3),
                "kind": mark.kind,
                "text": mark.detail or f"pid {mark.pid}",
            }
            for mark in timeline.marks
        ],
    }


def _last_run(items: list[Outcome]) -> float:
    """Return when the last run began, to judge by the pause before it."""
    end = begin = items[0].started
    for item in items:
        if item.started - end > SAME_RUN_SECONDS:
            begin = item.started
        end = max(end, item.started + item.seconds)
    return begin


def _has_times(item: Outcome) -> bool:
    """Whether a row has them; a damaged one may lack anything."""
    return _is_time(item.started) and _is_time(item.seconds)


def _is_time(value: object) -> bool:
    return isinstance(value, float) and abs(value) < LAST_SECOND


def _attempt(event: WorkerEvent) -> Outcome:
    """Return a killed attempt as if it were an outcome."""
    began, seconds = event.at - (event.seconds or 0.0), event.seconds or 0.0
    key, attempt = event.key or "", event.attempt or 1
    return Outcome(key, KILLED, None, event.detail, attempt, event.worker, began, seconds)


def _lane(item: Outcome) -> str:
    return item.worker or NOBODY


def _named(name: str, number: int) -> dict[str, Any]:
    args = {"name": name}
    return {"name": "thread_name", "ph": "M", "pid": 1, "tid": number, "args": args}


def _bars(items: list[Outcome], number: int) -> Iterator[dict[str, Any]]:
    """Yield the events of one lane; none may overlap another there, not by a microsecond."""
    starts = [int(item.started * MICROSECONDS) for item in items]
    for item, (start, following) in zip(items, pairwise([*starts, float("inf")]), strict=True):
        end = min(int((item.started + item.seconds) * MICROSECONDS), following)
        details = {"status": item.status, "attempts": item.attempts}
        yield {
            "name": item.key,
            "cat": item.status,
            "ph": "X",
            "ts": start,
            "dur": max(end - start, 0),
            "pid": 1,
            "tid": number,
            "cname": "good" if item.error is None else "terrible",
            "args": details if item.error is None else details | {"error": item.error},
        }


def _instant(mark: WorkerEvent, number: int) -> dict[str, Any]:
    return {
        "name": f"{mark.worker} {mark.kind}",
        "cat": mark.kind,
        "ph": "i",
        "s": "t",
        "ts": int(mark.at * MICROSECONDS),
        "pid": 1,
        "tid": number,
        "args": {"reason": mark.detail, "pid": mark.pid},
    }
