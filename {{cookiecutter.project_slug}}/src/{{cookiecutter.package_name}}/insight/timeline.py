"""Who did what when: a picture from the journal and the log.

The journal says which item was done where, when and how; the log says when workers came and went.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, TextIO

from ..items.messages import Outcome
from ..results.reading import rows

MAIN = "MainProcess"
NOBODY = "main"
"""The lane of items that could not be sent to any worker."""
STARTED, DIED = "started", "died"
EVENTS = [
    (STARTED, re.compile(r"(\S+) (is ready, pid \d+)")),
    (DIED, re.compile(r"(\S+) is (?:replaced|gone): (.*)")),
]
LINE = re.compile(rf"(\d+-\d\d-\d\d \d\d:\d\d:\d\d),(\d\d\d) {MAIN} +[A-Z]+ +(.*)")
NEAR_SECONDS = 5.0
"""Workers start some time before the first item, and may die after the last."""
SAME_RUN_SECONDS = 60.0
MICROSECONDS = 1e6
DATA = "TIMELINE_DATA"
"""What ``timeline.html`` has where the data belong."""


@dataclass(frozen=True, slots=True)
class Mark:
    """That a worker started or died."""

    time: float
    """Seconds since the epoch."""
    worker: str
    kind: str
    """``STARTED`` or ``DIED``."""
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """What is to be shown."""

    items: list[Outcome]
    """By the time at which they began."""
    marks: list[Mark]

    @property
    def lanes(self) -> list[str]:
        """The workers, by number."""
        names = {_lane(item) for item in self.items} | {mark.worker for mark in self.marks}
        return sorted(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def collect(results: Path, log_file: Path, damaged: Callable[[str, str], None]) -> Timeline:
    """Read a journal, and what the log says of the time that its items were done.

    Args:
        results: The journal.
        log_file: The log.
        damaged: See ``rows``; a row that does not say when it was is not drawn.

    Raises:
        JournalError: There is no journal at ``results``.
    """
    drawable = (item for item in rows(results, damaged) if _has_times(item))
    items = sorted(drawable, key=lambda item: item.started)
    if not items:
        return Timeline([], [])
    begin, end = items[0].started - NEAR_SECONDS, _end(items) + NEAR_SECONDS
    marks = [mark for mark in _marks(_lines(log_file)) if begin <= mark.time <= end]
    return Timeline(items, marks)


def write_trace(timeline: Timeline, file: TextIO) -> None:
    """Write what Perfetto, chrome://tracing and speedscope open: Trace Event format.

    https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
    """
    lanes = {name: number for number, name in enumerate(timeline.lanes, 1)}
    events = chain(
        (_named(name, number) for name, number in lanes.items()),
        *(_bars(timeline, name, number) for name, number in lanes.items()),
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
        "marks": [
            {
                "lane": lanes[mark.worker],
                "time": round(mark.time - begin, 3),
                "kind": mark.kind,
                "text": mark.text,
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
    times: list[Any] = [item.started, item.seconds]
    return all(isinstance(time, float) for time in times)


def _lane(item: Outcome) -> str:
    return item.worker or NOBODY


def _end(items: Iterable[Outcome]) -> float:
    return max(item.started + item.seconds for item in items)


def _named(name: str, number: int) -> dict[str, Any]:
    args = {"name": name}
    return {"name": "thread_name", "ph": "M", "pid": 1, "tid": number, "args": args}


def _bars(timeline: Timeline, name: str, number: int) -> Iterator[dict[str, Any]]:
    """Yield the events of one lane; none may overlap another there, not by a microsecond."""
    items = [item for item in timeline.items if _lane(item) == name]
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


def _instant(mark: Mark, number: int) -> dict[str, Any]:
    return {
        "name": f"{mark.worker} {mark.kind}",
        "cat": mark.kind,
        "ph": "i",
        "s": "t",
        "ts": int(mark.time * MICROSECONDS),
        "pid": 1,
        "tid": number,
        "args": {"reason": mark.text},
    }


def _lines(log_file: Path) -> Iterator[str]:
    """Yield the lines of a log and of its rotated files, the oldest first."""
    backups = [
        path
        for path in log_file.parent.glob(f"{log_file.name}.*")
        if path.suffix.removeprefix(".").isdecimal()
    ]
    backups.sort(key=lambda path: -int(path.suffix.removeprefix(".")))
    for path in (*backups, log_file):
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from (line.rstrip("\n") for line in file if MAIN in line)


def _marks(lines: Iterable[str]) -> Iterator[Mark]:
    """Yield what main, and nobody else, says of its workers."""
    for line in lines:
        when, message = _json_record(line) if line.startswith("{") else _text_record(line)
        for kind, pattern in EVENTS:
            if match := pattern.fullmatch(message):
                yield Mark(when, match[1], kind, match[2])


def _text_record(line: str) -> tuple[float, str]:
    if not (match := LINE.fullmatch(line)):
        return 0.0, ""
    return time.mktime(time.strptime(match[1], "%Y-%m-%d %H:%M:%S")) + int(match[2]) / 1e3, match[3]


def _json_record(line: str) -> tuple[float, str]:
    try:
        record = json.loads(line)
        if record["process"] == MAIN:
            return float(record["time"]), str(record["message"])
    except (ValueError, KeyError, TypeError):
        pass  # a line that some other program wrote
    return 0.0, ""
