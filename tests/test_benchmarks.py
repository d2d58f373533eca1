"""The benchmarks run, with every contestant, and report what they measured; not how fast."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from baked import TEMPLATE, run

from benchmarks import cases, goals, item_suite, log_suite, uneven_suite, whole_suite
from benchmarks.__main__ import BRACKETS, CHUNKS, PICTURES
from benchmarks.harness import Case, Outcome
from benchmarks.pictures import Picture
from benchmarks.results import IDEAL, Results

SVG = "{http://www.w3.org/2000/svg}"
MEASURED = (
    *(cases.LOG, cases.TINY, cases.BYTES, cases.UNEVEN, cases.WAITING["fork"], cases.REPLACING),
    *(cases.JOURNAL, cases.DIGEST),
)
"""Something of each suite, and each contestant."""


@pytest.fixture(scope="module")
def written(peers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that a run of the smallest size wrote."""
    folder = tmp_path_factory.mktemp("bench")
    measure: list[str | Path] = [
        "-m",
        "benchmarks",
        "--size",
        "smallest",
        "--output",
        folder,
        "--only",
        *MEASURED,
    ]
    run(peers, *measure, cwd=TEMPLATE)
    return folder


def test_a_run_measures_everyone_and_reports(written: Path) -> None:
    """Each peer and each execution model does its work; report and pictures show all of them."""
    outcomes = json.loads((written / "figures.json").read_text("utf-8"))
    check_figures({outcome["case"]["title"]: outcome for outcome in outcomes})
    check_report((written / "RESULTS.md").read_text("utf-8"))
    for name, everyone in (
        ("log.svg", log_suite.contestants()),
        ("items.svg", item_suite.contestants()),
        ("uneven.svg", uneven_suite.contestants()),
    ):
        check_picture((written / name).read_text("utf-8"), everyone, PICTURES[name])


def check_figures(figures: dict[str, Any]) -> None:
    assert {title: outcome["failures"] for title, outcome in figures.items()} == {
        title: {} for title in figures
    }
    for title, everyone in (
        (cases.LOG, log_suite.contestants()),
        (cases.TINY, item_suite.contestants()),
        (cases.UNEVEN, uneven_suite.contestants()),
        (cases.DIGEST, whole_suite.contestants()),
    ):
        assert list(figures[title]["bouts"]) == list(everyone)
    assert figures.keys() >= set(MEASURED)
    for case in figures.values():
        assert all(bout[case["case"]["main"]] > 0 for (bout,) in case["bouts"].values())
    ((recycled,), (journal,)) = (
        figures[cases.REPLACING]["bouts"][cases.RECYCLING],
        figures[cases.JOURNAL]["bouts"]["ours, process"],
    )
    assert recycled["replaced"] >= cases.REPLACEMENTS / 2
    assert journal.keys() == {"rerun_us", "jsonl_us", "csv_us"}


def check_report(text: str) -> None:
    assert re.findall("^## (.*)", text, re.MULTILINE)[0] == "Goals"
    assert {f"## {title}" for title in MEASURED} <= set(text.split("\n"))
    assert re.search(
        r"^\| Log: 4 workers, text: .* \| (met|\*\*missed\*\*) \|$", text, re.MULTILINE
    )
    assert "**not measured**" in text
    assert re.search(r"others took \d+% of the cores", text)
    assert "loguru 0." in text
    assert "CPython 3." in text


def check_picture(text: str, everyone: Sequence[str], shown: Picture) -> None:
    """Each contestant has a bar, the goal a line, and what brackets hold is explained."""
    root = ET.fromstring(text)  # noqa: S314 - our own file
    kinds = [bar.get("class") for bar in root.iter(f"{SVG}rect")]
    assert len(kinds) == len(everyone)
    assert "ours" in kinds
    assert len(list(root.iter(f"{SVG}line"))) == bool(shown.wanted)
    assert (f"{shown.wanted:g} x {shown.other}" in text) == bool(shown.wanted)
    notes = [str(one.text) for one in root.iter(f"{SVG}text") if one.get("class") == "note"]
    assert any(BRACKETS in note for note in notes) == any("(" in name for name in everyone)


def test_the_picture_shown_explains_its_names() -> None:
    """The picture in the README, of the last full run, explains the numbers in brackets."""
    shown = (TEMPLATE / "benchmarks" / "items.svg").read_text("utf-8")
    assert CHUNKS in shown


@pytest.mark.parametrize(
    ("ours", "peer", "ratio"),
    [
        ([2.0, 4.0, 60.0], [1.0, 2.0, 3.0], 2.0),
        ([2.0, None, 8.0], [1.0, 5.0, 2.0], 3.0),
        ([None], [1.0], None),
    ],
)
def test_ratio_is_the_median_of_the_rounds(
    ours: list[float | None], peer: list[float | None], ratio: float | None
) -> None:
    """Rounds are compared one by one; one without figures is left out."""
    case = Case("t", "s", ("ours", "peer"), len(ours), "speed", "peer")
    bouts = {
        name: [None if value is None else {"speed": value} for value in values]
        for name, values in (("ours", ours), ("peer", peer))
    }
    assert Results([Outcome(case, bouts)]).ratio("t", "ours", "peer", "speed") == ratio


@pytest.mark.parametrize(("lowest", "best"), [(True, "slow"), (False, "quick")])
def test_the_best_peer_is_one_that_can_be_had(lowest: bool, best: str) -> None:  # noqa: FBT001 - a column of the table
    """Neither the service itself nor the ideal counts as a peer, nor one that failed."""
    figures = {"ours": 9.0, "ours, too": 1.0, "slow": 2.0, "quick": 3.0, IDEAL: 0.5, "failed": None}
    case = Case("t", "s", tuple(figures), 1, "speed", "slow")
    bouts = {name: [None if value is None else {"speed": value}] for name, value in figures.items()}
    assert Results([Outcome(case, bouts)]).best_peer("t", "speed", lowest=lowest) == best


def test_uneven_items_are_as_long_as_the_report_says() -> None:
    """The same ones each time: as much work as asked for, median 2 ms, one of 0.4 s."""
    items = uneven_suite.lengths(3.0, longest_last=False)
    assert sum(items) == pytest.approx(6000, abs=uneven_suite.LONGEST_MS)
    assert median(items) == pytest.approx(uneven_suite.MEDIAN_MS, rel=0.1)
    assert max(items) == uneven_suite.LONGEST_MS
    assert uneven_suite.lengths(3.0, longest_last=True) == sorted(items)


@pytest.mark.parametrize(
    ("figure", "at_most", "verdict"),
    [
        (1.0, False, "met"),
        (0.99, False, "**missed**"),
        (1.0, True, "met"),
        (1.01, True, "**missed**"),
        (None, False, "**not measured**"),
    ],
)
def test_a_goal_has_a_verdict(figure: float | None, at_most: bool, verdict: str) -> None:  # noqa: FBT001 - a column of the table
    """A goal that is not reached is called missed, one that was not measured is not called met."""
    assert goals.Goal("a goal", figure, 1.0, at_most=at_most).verdict == verdict
