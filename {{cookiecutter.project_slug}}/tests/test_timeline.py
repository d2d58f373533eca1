"""timeline: who did what when, from the journal and the log."""

import io
import json
import re
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from service import Service

from {{ cookiecutter.package_name }}.insight import timeline
from {{ cookiecutter.package_name }}.items.messages import DONE, FAILED, Outcome
from {{ cookiecutter.package_name }}.results.journal import Journal

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
DYING_JOB = """
    import os, signal

    def items(inputs):
        return ((f"item-{n}", n) for n in range(40))

    def work(payload):
        if payload == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        if payload == 9:
            raise ValueError("bad </script> luck")
        return payload
"""


def outcome(key: str, start: float, seconds: float, worker: str = "worker-1") -> Outcome:
    return Outcome(key, DONE, "1", None, 1, worker, BEGIN + start, seconds)


def journal_of(path: Path, *outcomes: Outcome) -> Path:
    with Journal(path) as journal:
        journal.record(list(outcomes))
    return path


def stamp(seconds: float) -> str:
    moment = BEGIN + seconds
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
    return f"{clock},{int(moment % 1 * 1000):03d}"


def collect(results: Path, log: Path) -> timeline.Timeline:
    return timeline.collect(results, log, lambda *fault: pytest.fail(f"{fault}"))


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
    events = trace(collect(results, tmp_path / "none.log"))
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
    events = trace(collect(results, tmp_path / "none.log"))
    bars = sorted((event["ts"], event["dur"]) for event in events if event["ph"] == "X")
    assert len(bars) == 1000
    assert all(start + length <= following for (start, length), (following, _) in pairwise(bars))


TEXT_LOG = [
    f"{stamp(-0.5)} MainProcess INFO     worker-1 is ready, pid 41",
    f"{stamp(1.25)} MainProcess WARNING  worker-1 is replaced: worker died: SIGKILL",
    f"{stamp(1.5)} MainProcess WARNING  worker-2 is gone: worker died: exit code 3",
]
JSON_LOG = [
    json.dumps({"time": BEGIN + seconds, "process": "MainProcess", "message": message})
    for seconds, message in (
        (-0.5, "worker-1 is ready, pid 41"),
        (1.25, "worker-1 is replaced: worker died: SIGKILL"),
        (1.5, "worker-2 is gone: worker died: exit code 3"),
    )
]


@pytest.mark.parametrize("lines", [TEXT_LOG, JSON_LOG], ids=["text", "json"])
@pytest.mark.parametrize("rotated", [0, 1, 2])
def test_starts_and_deaths_come_from_the_log(
    tmp_path: Path, lines: list[str], rotated: int
) -> None:
    """In both formats, and wherever the log was rotated."""
    log = tmp_path / "service.log"
    log.with_name("service.log.1").write_text("".join(f"{line}\n" for line in lines[:rotated]))
    log.write_text("".join(f"{line}\n" for line in lines[rotated:]))
    results = journal_of(tmp_path / "r.db", outcome("good", 0, 1))
    marks = collect(results, log).marks
    assert [(mark.worker, mark.kind) for mark in marks] == [
        ("worker-1", "started"),
        ("worker-1", "died"),
        ("worker-2", "died"),
    ]
    assert [round(mark.time - BEGIN, 3) for mark in marks] == [-0.5, 1.25, 1.5]
    assert marks[1].text == "worker died: SIGKILL"


@pytest.mark.parametrize(
    "line",
    [
        f"{stamp(1)} worker-1   INFO     worker-1 is replaced: worker died: forged",
        f"{stamp(1)} worker-1   INFO     a\n  | {stamp(1)} MainProcess INFO   worker-1 is gone: x",
        f"{stamp(9999)} MainProcess INFO     worker-1 is ready, pid 1",
        "MainProcess is not a record",
        '{"process": "worker-1", "time": 1, "message": "MainProcess worker-1 is ready, pid 1"}',
        '{"MainProcess": "no JSON',
        '{"process": "MainProcess", "time": null, "message": "worker-1 is ready, pid 1"}',
    ],
)
def test_nothing_else_in_the_log_is_believed(tmp_path: Path, line: str) -> None:
    """Only main speaks of its workers, and only of the time that is shown."""
    log = tmp_path / "service.log"
    log.write_text(f"{line}\n")
    results = journal_of(tmp_path / "r.db", outcome("good", 0, 1))
    assert collect(results, log).marks == []


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_out_of_the_page(tmp_path: Path, name: str) -> None:
    """A hostile item name or error comes back as it was, and is nothing but data."""
    bad = Outcome(name, FAILED, None, name, 1, "worker-1", BEGIN, 1.0)
    seen = collect(journal_of(tmp_path / "r.db", bad), tmp_path / "none.log")
    html, data = page(seen)
    assert (data["key"], data["errors"]) == ([name], {"0": name})
    assert html.count("<script") == html.count("</script>") == 2
    assert trace(seen)[-1]["name"] == name


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    """It refers to nothing outside itself, and forbids itself to."""
    seen = collect(journal_of(tmp_path / "r.db", outcome("a", 0, 1)), tmp_path / "no.log")
    html, _ = page(seen)
    assert "default-src 'none'" in html
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", html)


def test_the_page_opens_at_the_last_run(tmp_path: Path) -> None:
    """A journal that was filled on two days does not show a day of nothing."""
    items = [outcome("a", 0, 1), outcome("b", 86_400, 1), outcome("c", 86_401, 1)]
    seen = collect(journal_of(tmp_path / "r.db", *items), tmp_path / "none.log")
    assert page(seen)[1]["view"] == 86_400


def test_a_hundred_thousand_items_make_a_page_of_some_megabytes(tmp_path: Path) -> None:
    """As large as their names, and some twenty bytes for each."""
    items = (outcome(f"item-{n:06}", n * 0.01, 0.01, f"worker-{n % 8}") for n in range(100_000))
    seen = collect(journal_of(tmp_path / "r.db", *items), tmp_path / "none.log")
    html, data = page(seen)
    assert len(data["key"]) == 100_000
    assert len(html) < 7_000_000
    assert len(trace(seen)) == 100_008


def test_a_run_with_a_death_is_drawn(service: Callable[..., Service], tmp_path: Path) -> None:
    """From a real journal and log: every item, its worker's start, and every death."""
    dying = service(DYING_JOB)
    assert dying.run("--workers", "2", "--max-attempts", "2").code == 1
    files = {"--output": tmp_path / "trace.json", "--html": tmp_path / "page.html"}
    options = [text for name, path in files.items() for text in (name, str(path))]
    journal_and_log = ("--results", str(dying.results), "--log-file", str(dying.log))
    drawn = dying.command("timeline", *journal_and_log, *options)
    assert drawn.code == 0, drawn.stderr
    events = json.loads(files["--output"].read_text())["traceEvents"]
    bars = {event["name"]: event["args"] for event in events if event["ph"] == "X"}
    assert set(bars) == {f"item-{n}" for n in range(40)}
    assert (bars["item-7"]["attempts"], bars["item-7"]["status"]) == (2, "failed")
    died = [event["args"]["reason"] for event in events if event.get("cat") == "died"]
    assert died == ["worker died: SIGKILL"] * 2
    assert sum(event.get("cat") == "started" for event in events) >= 2
    assert "bad </script> luck" not in files["--html"].read_text()


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
