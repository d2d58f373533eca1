"""timeline: who did what when, from the journal."""

import io
import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest

from file_digest.insight import page, timeline, trace
from file_digest.items.events import (
    DIED,
    KILLED,
    START_FAILED,
    STARTED,
    WorkerEvent,
)
from file_digest.items.messages import DONE, FAILED, Outcome
from file_digest.results import reading
from file_digest.results.journal import Journal

from .support import old_journals
from .support.service import Service, wait_for

BEGIN = 1_800_000_000.0
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    '"quoted" \\ back',
    "two\nlines\ttab",
    "\u2028\u2029 \x00\x1b[31m",
    "漢字 🎉",
    "TIMELINE_DATA",
    "__proto__",
]


def outcome(key: str, start: float, seconds: float, worker: str = "worker-1") -> Outcome:
    return Outcome(key, DONE, "1", None, 1, worker, BEGIN + start, seconds)


def journal_of(path: Path, *outcomes: Outcome, events: Sequence[WorkerEvent] = ()) -> Path:
    with Journal(path) as journal:
        journal.events.pending.extend(events)
        journal.record(list(outcomes))
    return path


def collect(results: Path) -> timeline.Timeline:
    return timeline.collect(results, lambda *fault: pytest.fail(f"{fault}"))


def worker_events(results: Path) -> list[WorkerEvent]:
    return reading.worker_events(results, lambda *fault: pytest.fail(f"{fault}"))


def traced(seen: timeline.Timeline) -> list[dict[str, Any]]:
    file = io.StringIO()
    trace.write(seen, file)
    events: list[dict[str, Any]] = json.loads(file.getvalue())["traceEvents"]
    return events


def drawn(seen: timeline.Timeline) -> tuple[str, dict[str, Any]]:
    file = io.StringIO()
    page.write(seen, file, title="A <title>")
    data = re.search(r'id="data">(.*?)</script>', file.getvalue(), re.DOTALL)
    assert data
    return file.getvalue(), json.loads(data[1])


def test_every_item_is_a_bar_in_its_workers_lane(tmp_path: Path) -> None:
    """A bar has the item's time, length, outcome and attempts; lanes are in the workers' order."""
    failed = Outcome("bad", FAILED, None, "Traceback\nError: no", 3, "worker-10", BEGIN + 2, 0.5)
    unsent = Outcome("unsent", FAILED, None, "cannot be sent", 1, "", BEGIN + 3, 0.0)
    results = journal_of(tmp_path / "r.db", outcome("good", 0, 1, "worker-2"), failed, unsent)
    events = traced(collect(results))
    lanes = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert list(lanes.values()) == ["main", "worker-2", "worker-10"]
    bars = {event["name"]: event for event in events if event["ph"] == "X"}
    assert set(bars) == {"good", "bad", "unsent"}
    assert (bars["good"]["ts"], bars["good"]["dur"]) == (BEGIN * 1e6, 1e6)
    assert bars["good"]["args"] == {"status": "done", "attempts": 1}
    error = {"status": "failed", "attempts": 3, "error": "Traceback\nError: no"}
    assert (bars["bad"]["args"], lanes[bars["bad"]["tid"]]) == (error, "worker-10")
    assert lanes[bars["unsent"]["tid"]] == "main"


def test_bars_of_a_lane_never_overlap(tmp_path: Path) -> None:
    """Viewers nest what overlaps, so not even rounding may make it."""
    third = 1 / 3
    items = [outcome(str(n), n * third, third + 1e-7) for n in range(1000)]
    results = journal_of(tmp_path / "r.db", *items)
    events = traced(collect(results))
    bars = sorted((event["ts"], event["dur"]) for event in events if event["ph"] == "X")
    assert len(bars) == 1000
    assert all(start + length <= following for (start, length), (following, _) in pairwise(bars))


def at(seconds: float, worker: str, kind: str, detail: str = "") -> WorkerEvent:
    return WorkerEvent(BEGIN + seconds, worker, kind, 41, detail)


MARKS = {
    "a worker starts before its first item": (at(-0.5, "worker-1", STARTED), True),
    "dask takes its time": (at(-20, "worker-1", STARTED), True),
    "dies": (at(1.25, "worker-1", DIED, "worker died: SIGKILL"), True),
    "fails to start": (at(0.5, "worker-2", START_FAILED, "ImportError: no"), True),
    "could not even be named": (at(0.5, "", START_FAILED, "OSError: no"), False),
    "of a run whose items were done again": (at(-9999, "worker-1", STARTED), False),
}


@pytest.mark.parametrize(("event", "shown"), MARKS.values(), ids=list(MARKS))
def test_starts_and_deaths_are_marks_in_their_workers_lane(
    tmp_path: Path, event: WorkerEvent, shown: bool
) -> None:
    """In the trace and in the page, with the reason."""
    seen = collect(journal_of(tmp_path / "r.db", outcome("good", 0, 1), events=[event]))
    instants = [one for one in traced(seen) if one["ph"] == "i"]
    _, data = drawn(seen)
    assert [mark for _, mark in seen.marks] == ([event] if shown else [])
    assert len(instants) == len(data["marks"]) == shown
    for instant, mark in zip(instants, data["marks"], strict=True):
        assert instant["name"] == f"{event.worker} {event.kind}"
        assert (instant["cat"], instant["ts"]) == (event.kind, int(event.at * 1e6))
        assert (instant["args"]["reason"], mark["text"]) == (event.detail, event.detail or "pid 41")
        assert (data["lanes"][mark["lane"]], mark["kind"]) == (event.worker, event.kind)
        assert mark["time"] == pytest.approx(event.at - BEGIN, abs=1e-3)


def test_a_killed_attempt_is_a_bar_of_its_own(tmp_path: Path) -> None:
    """In the lane of the worker that it ended with, beside the item's outcome; it is no item."""
    killed = at(4, "worker-1", KILLED, "timed out")._replace(key="slow", attempt=1, seconds=3.0)
    done = Outcome("slow", DONE, "1", None, 2, "worker-2", BEGIN + 5, 1.0)
    seen = collect(journal_of(tmp_path / "r.db", done, events=[killed]))
    assert seen.summary == "1 items, 1 attempts killed, 2 workers"
    events = traced(seen)
    lanes = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    bars = [event for event in events if event["ph"] == "X"]
    assert [(bar["name"], bar["cat"], lanes[bar["tid"]]) for bar in bars] == [
        ("slow", "killed", "worker-1"),
        ("slow", "done", "worker-2"),
    ]
    assert (bars[0]["ts"], bars[0]["dur"]) == ((BEGIN + 1) * 1e6, 3e6)
    assert bars[0]["args"] == {"status": "killed", "attempts": 1, "error": "timed out"}
    _, data = drawn(seen)
    assert (data["status"], data["killed"], data["count"]) == ({"0": "killed"}, 1, 1)
    assert (data["start"], data["seconds"]) == ([0.0, 4.0], [3.0, 1.0])


@pytest.mark.parametrize("leave", [old_journals.finished, old_journals.killed])
def test_an_older_journal_gives_a_picture(tmp_path: Path, leave: Callable[[Path], None]) -> None:
    """Of its items; it has no events of workers."""
    leave(tmp_path / "r.db")
    seen = collect(tmp_path / "r.db")
    assert (seen.summary, seen.marks) == ("2 items, 2 workers", [])
    assert [event["name"] for event in traced(seen) if event["ph"] == "X"] == ["one", "two"]
    assert drawn(seen)[1]["lanes"] == ["worker-1", "worker-2"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_out_of_the_page(tmp_path: Path, name: str) -> None:
    """A hostile item name or error comes back as it was, and is nothing but data."""
    bad = Outcome(name, FAILED, None, name, 1, "worker-1", BEGIN, 1.0)
    seen = collect(journal_of(tmp_path / "r.db", bad))
    html, data = drawn(seen)
    assert (data["key"], data["errors"]) == ([name], {"0": name})
    assert html.count("<script") == html.count("</script>") == 2
    assert traced(seen)[-1]["name"] == name


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    """It refers to nothing outside itself, and forbids itself to."""
    seen = collect(journal_of(tmp_path / "r.db", outcome("a", 0, 1)))
    html, _ = drawn(seen)
    assert "default-src 'none'" in html
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", html)


def test_the_page_opens_at_the_last_run(tmp_path: Path) -> None:
    """A journal that was filled on two days does not show a day of nothing."""
    items = [outcome("a", 0, 1), outcome("b", 86_400, 1), outcome("c", 86_401, 1)]
    seen = collect(journal_of(tmp_path / "r.db", *items))
    assert drawn(seen)[1]["view"] == 86_400


def many(count: int, workers: int = 4) -> Iterator[Outcome]:
    """Yield back-to-back items of 10 ms, of which every tenth failed after a second attempt."""
    for n in range(count):
        turn, worker = divmod(n, workers)
        one = outcome(f"item-{n:06}", turn * 0.01, 0.01, f"worker-{worker + 1}")
        bad = one._replace(status=FAILED, result=None, error="Error: no", attempts=2)
        yield one if n % 10 else bad


def cells(data: dict[str, Any], kind: str, field: str) -> list[int]:
    return [
        value for grid in data["grids"] for value in grid["cells"].get(kind, {field: []})[field]
    ]


@pytest.mark.parametrize("count", [timeline.SINGLE_ITEMS, timeline.SINGLE_ITEMS + 1, 50_000])
def test_no_item_is_missing_however_many_there_are(tmp_path: Path, count: int) -> None:
    """As bars, or in columns: by number, by outcome and by the time that they took."""
    seen = collect(journal_of(tmp_path / "r.db", *many(count)))
    _, data = drawn(seen)
    single = Counter(item.status for _, item in seen.items)
    assert single.total() <= timeline.SINGLE_ITEMS
    assert (data["count"], data["failed"]) == (count, -(-count // 10))
    summed = {kind: sum(cells(data, kind, "items")) for kind in (DONE, FAILED, timeline.AGAIN)}
    assert summed[FAILED] == summed[timeline.AGAIN]
    assert (single[DONE] + summed[DONE], single[FAILED] + summed[FAILED]) == (
        count - data["failed"],
        data["failed"],
    )
    kinds = [kind for grid in seen.grids for kind in grid.cells.values()]
    taken = sum(item.seconds for _, item in seen.items)
    taken += sum(cell.seconds for kind in kinds for cell in kind.values())
    assert taken == pytest.approx(count * 0.01)


def test_a_lane_that_is_always_busy_is_full_in_every_column(tmp_path: Path) -> None:
    """Items that reach into the next column count in both, so that no stripes come about."""
    _, data = drawn(collect(journal_of(tmp_path / "r.db", *many(50_000))))
    (grid,) = data["grids"]
    shares: Counter[int] = Counter()
    for kind in (DONE, FAILED):
        places = accumulate(grid["cells"][kind]["step"])
        for place, share in zip(places, grid["cells"][kind]["share"], strict=True):
            shares[place] += share
    assert len(shares) == len(data["lanes"]) * grid["columns"]
    assert min(shares.values()) >= 998
    assert max(shares.values()) <= 1002


def test_a_long_item_among_many_keeps_its_bar(tmp_path: Path) -> None:
    """With its name and error; so does an attempt that was killed."""
    long = Outcome("long", FAILED, None, "Error: slow", 1, "worker-9", BEGIN, 40.0)
    killed = at(50, "worker-9", KILLED, "timed out")._replace(key="stuck", seconds=9.0)
    results = journal_of(tmp_path / "r.db", long, *many(20_000), events=[killed])
    _, data = drawn(collect(results))
    assert (data["key"], data["status"]) == (["long", "stuck"], {"0": "failed", "1": "killed"})
    assert data["errors"] == {"0": "Error: slow", "1": "timed out"}
    assert sum(cells(data, DONE, "items")) + sum(cells(data, FAILED, "items")) == 20_000


def test_the_last_run_has_columns_of_its_own(tmp_path: Path) -> None:
    """A journal that was filled on two days shows the second one as finely as if it were alone."""
    earlier = (one._replace(started=one.started - 86_400, key=f"old {one.key}") for one in many(9))
    seen = collect(journal_of(tmp_path / "r.db", *earlier, *many(20_000)))
    alone = collect(journal_of(tmp_path / "alone.db", *many(20_000)))
    assert drawn(seen)[1]["view"] == 86_400
    assert seen.grids[1].width == alone.grids[1].width
    first = [sum(cell.items for cell in kind.values()) for kind in seen.grids[0].cells.values()]
    assert sum(first) == 9 + 1


LONG = "漢<" * 500
LARGE = {
    "long names in other scripts": lambda n: {"key": f"{LONG[:180]}{n}"},
    "long errors": lambda n: {"error": f"{LONG}{n}", "status": FAILED},
    "each kind in each column": lambda n: (
        {"status": FAILED if n % 2 else DONE, "attempts": 2} | {"error": "no" if n % 2 else None}
    ),
    "a worker for each ten items": lambda n: {"worker": f"worker-{n // 10}"},
    "all at once": lambda _: {"started": BEGIN, "seconds": 99.0},
    "longer than a column": lambda n: (
        {"started": BEGIN + n // 9, "worker": f"worker-{n % 9}"} | {"seconds": 0.9}
    ),
}


@pytest.mark.parametrize("change", LARGE.values(), ids=list(LARGE))
@pytest.mark.parametrize("count", [timeline.SINGLE_ITEMS, 40_000])
def test_page_and_trace_have_a_size_that_they_never_exceed(
    tmp_path: Path, change: Callable[[int], dict[str, Any]], count: int
) -> None:
    """Three megabytes for the page, some tens for the trace, whatever the journal holds."""
    marks = [at(n / 1000, f"worker-{n % 9}", DIED, LONG) for n in range(9_000)]
    items = (one._replace(**change(n)) for n, one in enumerate(many(count)))
    seen = collect(journal_of(tmp_path / "r.db", *items, events=marks))
    html, data = drawn(seen)
    file = io.StringIO()
    trace.write(seen, file)
    assert (data["count"], len(seen.marks)) == (count, timeline.MOST_MARKS)
    assert data["unmarked"] == 9_000 - timeline.MOST_MARKS
    assert len(seen.lanes) <= timeline.MOST_LANES
    assert len(html.encode()) < 3_000_000
    assert len(file.getvalue()) < 50_000_000


ROWS = """
INSERT INTO outcomes
WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?)
SELECT 'item-' || n, 'done', ?, NULL, 1, 'worker-' || (n % 4), 1.8e9 + n / 4 * 0.01, 0.01, NULL
FROM numbers
"""
PEAK = f"""
import sys
from pathlib import Path
from {timeline.__name__} import collect
from {page.__name__} import write
with open("page.html", "w") as file:
    write(collect(Path(sys.argv[1]), print), file, title="")
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(status["VmHWM"].split()[0])
"""
"""Prints kilobytes. Not ru_maxrss: a child begins with that of its parent."""

if sys.platform == "linux":

    def test_memory_does_not_grow_with_the_journal(tmp_path: Path) -> None:
        """Of 300,000 items as of 50,000; neither rows nor results are kept."""
        peaks = []
        for count in (50_000, 300_000):
            results = journal_of(tmp_path / f"{count}.db")
            with closing(sqlite3.connect(results)) as database, database:
                database.execute(ROWS, (count, f'"{"x" * 300}"'))
            command = [sys.executable, "-c", PEAK, str(results)]
            peaks.append(int(subprocess.check_output(command, cwd=tmp_path)))
        assert max(peaks) < 100_000
        assert peaks[1] < 1.2 * peaks[0]


def test_workers_that_follow_one_another_share_a_lane(tmp_path: Path) -> None:
    """Of hundreds of replaced workers, those that worked at the same time share no lane."""
    items = [
        outcome(f"{n} {side}", n, 0.9, f"worker-{2 * n + side}")
        for n in range(150)
        for side in (0, 1)
    ]
    seen = collect(journal_of(tmp_path / "r.db", *items))
    assert seen.summary == "300 items, 300 workers"
    assert seen.lanes == ["worker-0 +149", "worker-1 +149"]
    assert Counter(lane for lane, _ in seen.items) == {0: 150, 1: 150}


LOGS = {
    "as it is by default": (),
    "another layout": ("--log-layout", "%(message)s - %(levelname)s"),
    "JSON": ("--log-format", "json"),
    "errors alone": ("--log-level", "ERROR"),
    "rotated away": ("--log-max-bytes", "1000", "--log-backups", "1"),
}


@pytest.mark.parametrize("options", LOGS.values(), ids=list(LOGS))
def test_a_run_with_a_death_is_drawn(
    service: Callable[..., Service], tmp_path: Path, options: tuple[str, ...]
) -> None:
    """Whatever the log is like: every item, its worker's start, every death and what that cost."""
    dying = service("dying")
    assert dying.run("--workers", "2", "--max-attempts", "2", *options).code == 1
    dying.log.unlink()
    files = {"--output": tmp_path / "trace.json", "--html": tmp_path / "page.html"}
    written = [text for name, path in files.items() for text in (name, str(path))]
    told = dying.command("timeline", "--results", str(dying.results), *written)
    assert told.code == 0, told.stderr
    assert "40 items, 1 attempts killed" in told.stdout
    events = json.loads(files["--output"].read_text())["traceEvents"]
    killed = [event for event in events if event.get("cat") == "killed"]
    bars = {e["name"]: e["args"] for e in events if e["ph"] == "X" and e not in killed}
    assert set(bars) == {f"item-{n}" for n in range(40)}
    assert (bars["item-7"]["attempts"], bars["item-7"]["status"]) == (2, "failed")
    assert [(event["name"], event["args"]["attempts"]) for event in killed] == [("item-7", 1)]
    died = [event["args"]["reason"] for event in events if event.get("cat") == "died"]
    assert died == ["worker died: SIGKILL"] * 2
    assert sum(event.get("cat") == "started" for event in events) >= 2
    assert "bad </script> luck" not in files["--html"].read_text()


@pytest.mark.parametrize(
    ("options", "attempts", "reason"),
    [
        (("--item-timeout", "0.5", "--max-attempts", "3"), [1, 2], "timed out after 0.5 s"),
        (("--grace", "0.2"), [None], "the run ended"),
    ],
)
def test_what_was_cut_off_is_drawn(
    service: Callable[..., Service], options: tuple[str, ...], attempts: list[int], reason: str
) -> None:
    """Attempts that were timed out, and one that the end of the run did not wait for."""
    stuck = service("stuck")
    begun = stuck.folder / "begun"
    run = stuck.start(str(begun), "--workers", "1", *options)
    if reason == "the run ended":
        wait_for(begun.exists, "the item's begin")
        run.send(signal.SIGTERM)
    assert run.wait().code in (1, 143)
    killed = [event for event in worker_events(stuck.results) if event.kind == KILLED]
    assert [(event.key, event.attempt, event.detail) for event in killed] == [
        ("stuck", attempt, reason) for attempt in attempts
    ]
    assert all(0.0 <= (event.seconds or 0) <= 60 for event in killed)
    stated = collect(stuck.results).summary
    assert f", {len(attempts)} attempts killed, " in stated


def test_an_item_that_is_done_is_not_cut_off(service: Callable[..., Service]) -> None:
    """A run that ends in good order leaves the starts of its workers, and nothing else."""
    calm = service()
    assert calm.run(str(Path(__file__).parent), "--workers", "2").code == 0
    kinds = {event.kind for event in worker_events(calm.results)}
    assert kinds == {STARTED}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "give --output, --html or both"),
        (("--html", "x.html", "--results", "none.db"), "none.db does not exist"),
        (("--html", "x.html", "--results", "empty.db"), "empty.db has no items"),
        (("--html", "no/x.html", "--results", "full.db"), "--html: no/x.html: No such file"),
        (("--output", ".", "--results", "full.db"), "--output: .: is a folder"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(
    service: Callable[..., Service], options: tuple[str, ...], says: str
) -> None:
    """Exit code 2, and no file is left behind."""
    drawing = service()
    journal_of(drawing.folder / "empty.db")
    journal_of(drawing.folder / "full.db", outcome("a", 0, 1))
    finished = drawing.command("timeline", *options)
    assert finished.code == 2
    assert len(finished.stderr.splitlines()) == 1
    assert says in finished.stderr
    assert not list(drawing.folder.glob("*.html*"))
