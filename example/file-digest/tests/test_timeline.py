"""timeline: who did what when, from the journal."""

import io
import json
import re
import signal
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from file_digest.insight import timeline
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


def trace(seen: timeline.Timeline) -> list[dict[str, Any]]:
    file = io.StringIO()
    timeline.write_trace(seen, file)
    events: list[dict[str, Any]] = json.loads(file.getvalue())["traceEvents"]
    return events


def page(seen: timeline.Timeline) -> tuple[str, dict[str, Any]]:
    file = io.StringIO()
    timeline.write_html(seen, file, title="A <title>")
    data = re.search(r'id="data">(.*?)</script>', file.getvalue(), re.DOTALL)
    assert data
    return file.getvalue(), json.loads(data[1])


def test_every_item_is_a_bar_in_its_workers_lane(tmp_path: Path) -> None:
    """A bar has the item's time, length, outcome and attempts; lanes are in the workers' order."""
    failed = Outcome("bad", FAILED, None, "Traceback\nError: no", 3, "worker-10", BEGIN + 2, 0.5)
    unsent = Outcome("unsent", FAILED, None, "cannot be sent", 1, "", BEGIN + 3, 0.0)
    results = journal_of(tmp_path / "r.db", outcome("good", 0, 1, "worker-2"), failed, unsent)
    events = trace(collect(results))
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
    events = trace(collect(results))
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
    instants = [one for one in trace(seen) if one["ph"] == "i"]
    _, data = page(seen)
    assert seen.marks == ([event] if shown else [])
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
    events = trace(seen)
    lanes = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    bars = [event for event in events if event["ph"] == "X"]
    assert [(bar["name"], bar["cat"], lanes[bar["tid"]]) for bar in bars] == [
        ("slow", "killed", "worker-1"),
        ("slow", "done", "worker-2"),
    ]
    assert (bars[0]["ts"], bars[0]["dur"]) == ((BEGIN + 1) * 1e6, 3e6)
    assert bars[0]["args"] == {"status": "killed", "attempts": 1, "error": "timed out"}
    _, data = page(seen)
    assert (data["killed"], data["start"], data["seconds"]) == ([0], [0.0, 4.0], [3.0, 1.0])


@pytest.mark.parametrize("leave", [old_journals.finished, old_journals.killed])
def test_an_older_journal_gives_a_picture(tmp_path: Path, leave: Callable[[Path], None]) -> None:
    """Of its items; it has no events of workers."""
    leave(tmp_path / "r.db")
    seen = collect(tmp_path / "r.db")
    assert (seen.summary, seen.marks) == ("2 items, 2 workers", [])
    assert [event["name"] for event in trace(seen) if event["ph"] == "X"] == ["one", "two"]
    assert page(seen)[1]["lanes"] == ["worker-1", "worker-2"]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_out_of_the_page(tmp_path: Path, name: str) -> None:
    """A hostile item name or error comes back as it was, and is nothing but data."""
    bad = Outcome(name, FAILED, None, name, 1, "worker-1", BEGIN, 1.0)
    seen = collect(journal_of(tmp_path / "r.db", bad))
    html, data = page(seen)
    assert (data["key"], data["errors"]) == ([name], {"0": name})
    assert html.count("<script") == html.count("</script>") == 2
    assert trace(seen)[-1]["name"] == name


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    """It refers to nothing outside itself, and forbids itself to."""
    seen = collect(journal_of(tmp_path / "r.db", outcome("a", 0, 1)))
    html, _ = page(seen)
    assert "default-src 'none'" in html
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", html)


def test_the_page_opens_at_the_last_run(tmp_path: Path) -> None:
    """A journal that was filled on two days does not show a day of nothing."""
    items = [outcome("a", 0, 1), outcome("b", 86_400, 1), outcome("c", 86_401, 1)]
    seen = collect(journal_of(tmp_path / "r.db", *items))
    assert page(seen)[1]["view"] == 86_400


@pytest.mark.faults
def test_a_hundred_thousand_items_make_a_page_of_some_megabytes(tmp_path: Path) -> None:
    """As large as their names, and some twenty bytes for each."""
    items = (outcome(f"item-{n:06}", n * 0.01, 0.01, f"worker-{n % 8}") for n in range(100_000))
    seen = collect(journal_of(tmp_path / "r.db", *items))
    html, data = page(seen)
    assert len(data["key"]) == 100_000
    assert len(html) < 7_000_000
    assert len(trace(seen)) == 100_008


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
    drawn = dying.command("timeline", "--results", str(dying.results), *written)
    assert drawn.code == 0, drawn.stderr
    assert "40 items, 1 attempts killed" in drawn.stdout
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
