"""The benchmarks run, with every contestant, and report what they measured; not how fast."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from baked import TEMPLATE, run
from uv import find_uv_bin

from benchmarks import cases, goals, item_suite, log_suite, whole_suite
from benchmarks.__main__ import CHUNKS
from benchmarks.harness import Case, Outcome
from benchmarks.results import Results

SVG = "{http://www.w3.org/2000/svg}"
MEASURED = (cases.LOG, cases.TINY, cases.DIGEST)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that a run of the smallest size wrote, with the peers as pinned."""
    folder, uv = tmp_path_factory.mktemp("bench"), find_uv_bin()
    requirements = TEMPLATE / "benchmarks" / "requirements.txt"
    run(uv, "venv", "--quiet", ".venv", cwd=folder)
    run(uv, "pip", "install", "--quiet", "--requirement", requirements, cwd=folder)
    python = folder / ".venv" / "bin" / "python"
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
    run(python, *measure, cwd=TEMPLATE)
    return folder


def test_a_run_measures_everyone_and_reports(written: Path) -> None:
    """Each peer and each execution model does its work; report and pictures show all of them."""
    outcomes = json.loads((written / "figures.json").read_text("utf-8"))
    check_figures({outcome["case"]["title"]: outcome for outcome in outcomes})
    check_report((written / "RESULTS.md").read_text("utf-8"))
    check_picture((written / "log.svg").read_text("utf-8"), log_suite.contestants())
    check_picture((written / "items.svg").read_text("utf-8"), item_suite.contestants())


def check_figures(figures: dict[str, Any]) -> None:
    assert {title: outcome["failures"] for title, outcome in figures.items()} == {
        title: {} for title in figures
    }
    for title, everyone in (
        (cases.LOG, log_suite.contestants()),
        (cases.TINY, item_suite.contestants()),
        (cases.DIGEST, whole_suite.contestants()),
    ):
        case = figures[title]
        assert list(case["bouts"]) == list(everyone)
        assert all(bout[case["case"]["main"]] > 0 for (bout,) in case["bouts"].values())


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


def check_picture(text: str, everyone: Sequence[str]) -> None:
    """Each contestant has a bar; what stands in brackets behind a name is explained."""
    root = ET.fromstring(text)  # noqa: S314 - our own file
    kinds = [bar.get("class") for bar in root.iter(f"{SVG}rect")]
    assert len(kinds) == len(everyone)
    assert "ours" in kinds
    notes = [str(one.text) for one in root.iter(f"{SVG}text") if one.get("class") == "note"]
    brackets = {found for name in everyone for found in re.findall(r"\(\d+\)", name)}
    assert all(any(one in note for note in notes) for one in brackets)


def test_the_picture_shown_explains_its_names() -> None:
    """That of the last full run, in the README."""
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
    """What is not reached is called missed, what was not measured is not called met."""
    assert goals.Goal("a goal", figure, 1.0, at_most=at_most).verdict == verdict
