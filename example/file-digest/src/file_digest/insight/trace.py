"""The timeline in Trace Event format, which Perfetto, chrome://tracing and speedscope open.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

import json
from collections.abc import Iterator
from itertools import chain, pairwise
from typing import Any, TextIO

from ..items.events import KILLED, WorkerEvent
from ..items.messages import DONE, FAILED, Outcome
from .timeline import Grid, Timeline

MICROSECONDS = 1e6


def write(timeline: Timeline, file: TextIO) -> None:
    """Write the timeline; items that are summed are counters of the share of time they took."""
    lanes = list(enumerate(timeline.lanes, 1))
    items: list[list[Outcome]] = [[] for _ in lanes]
    for lane, item in timeline.items:
        items[lane].append(item)
    events = chain(
        (_named(name, number) for number, name in lanes),
        *(_bars(items[number - 1], number) for number, _ in lanes),
        *(_counters(grid, timeline.lanes) for grid in timeline.grids),
        (_instant(mark, lane + 1) for lane, mark in timeline.marks),
    )
    file.write('{"displayTimeUnit": "ms", "traceEvents": [\n')
    separator = ""
    for event in events:
        file.write(separator + json.dumps(event))
        separator = ",\n"
    file.write("\n]}\n")


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


def _counters(grid: Grid, lanes: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the share of each column that items of each status take, and 0 where there are none."""
    kinds = [grid.cells.get(kind, {}) for kind in (DONE, FAILED, KILLED)]
    used = set().union(*kinds)
    for at in sorted(used | {at + 1 for at in used}):
        shares = [kind[at].seconds / grid.width if at in kind else 0.0 for kind in kinds]
        # The first column of a lane would end the last column of the lane before.
        lane, column = divmod(at if at in used else at - 1, grid.columns)
        column += at not in used
        yield {
            "name": lanes[lane],
            "ph": "C",
            "ts": int((grid.begin + column * grid.width) * MICROSECONDS),
            "pid": 1,
            "args": dict(zip((DONE, FAILED, KILLED), shares, strict=True)),
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
