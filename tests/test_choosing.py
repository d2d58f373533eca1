"""docs/choosing.md has the figures that were measured, all of them and no other."""

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from baked import TEMPLATE, run

from benchmarks import choosing, main_cost, rendered
from benchmarks import choosing_models as models

pytestmark = pytest.mark.xdist_group("choosing")

DOCUMENT = choosing.DOCUMENT.read_text("utf-8")
KEPT = json.loads(choosing.FIGURES.read_text("utf-8"))
Written = tuple[str, dict[str, Any]]


def test_the_document_shows_the_stored_figures() -> None:
    """Between its marks is what `make choosing` makes of them: nobody typed there."""
    assert choosing.with_figures(DOCUMENT, KEPT) == DOCUMENT


def test_what_is_typed_between_the_marks_is_seen() -> None:
    """The test above can fail."""
    typed = DOCUMENT.replace(" times the memory", "0 times the memory")
    assert typed != DOCUMENT
    assert choosing.with_figures(typed, KEPT) == DOCUMENT


@pytest.fixture(scope="module")
def written(peers: Path, tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Return the document and the figures that a run of the smallest size writes."""
    folder = tmp_path_factory.mktemp("choosing")
    document, figures = folder / "choosing.md", folder / "choosing.json"
    document.write_text(DOCUMENT, "utf-8")
    where = ("--document", document, "--figures", figures)
    run(peers, "-m", "benchmarks.choosing", "--size", "smallest", *where, cwd=TEMPLATE)
    return document.read_text("utf-8"), json.loads(figures.read_text("utf-8"))


def test_every_model_is_measured_and_every_figure_lands(written: Written) -> None:
    """Each row has each model's figure, and the sentences repeat the table's."""
    text, medians = measured(written[0], "models"), written[1]["models"]["medians"]
    rows = rows_of(text)
    assert {models.ONE, models.MEMORY, models.KILLED} < medians.keys() < rows.keys()
    for title, row in medians.items():
        assert list(row) == rendered.MODELS
        assert all(value > 0 for value in row.values())
        shown = [number(cell) for cell in rows[title]]
        assert shown == pytest.approx(list(row.values()), rel=0.1, abs=0.5), title
    times = medians[models.MEMORY]["dask"] / medians[models.MEMORY]["process"]
    assert f"{times:.1f} times the memory" in one_line(text)


def test_main_is_measured_and_every_figure_lands(written: Written) -> None:
    """Stand-ins keep main as busy as workers do; cost, table and sentences are there."""
    text, kept = measured(written[0], "main"), written[1]["main"]
    assert max(kept["microseconds"].values()) > 0
    (one,) = kept["simulated"]
    assert 0 < one["used"] <= 1.1
    assert 0 < one["main"] < 1.1
    (cell,) = rows_of(text)[f"{one['workers']:,}"]
    assert cell.replace("*", "") == f"{min(1, one['used']):.0%}, main {one['main']:.0%}"
    for name, cost in kept["microseconds"].items():
        assert f"{cost:.3g} µs for each {main_cost.COSTS[name]}" in one_line(text)
    assert re.search(rf"enough for {one['workers']} workers from items of [\d.]+ ms on\.", text)


@pytest.mark.parametrize("part", choosing.PARTS)
def test_a_run_says_where_and_when_and_leaves_the_rest(written: Written, part: str) -> None:
    """Date, machine and what else went on; what is outside the marks stays."""
    text, kept = written
    assert choosing.split(text, "main")[1] == choosing.split(DOCUMENT, "main")[1]
    assert choosing.split(text, "models")[0] == choosing.split(DOCUMENT, "models")[0]
    facts, shown = kept[part]["facts"], one_line(measured(text, part))
    assert f"on {facts['date']} by `make choosing`: {', '.join(facts['machine'])}." in shown
    assert re.search(r"others took \d+% of the cores .*, load average [\d.]+\.", shown)


def test_a_document_without_marks_is_refused_before_anything_is_measured(
    peers: Path, tmp_path: Path
) -> None:
    """One line says what is missing; exit code 2, and nothing is written."""
    document, figures = tmp_path / "choosing.md", tmp_path / "choosing.json"
    document.write_text("no marks\n", "utf-8")
    where = ("--document", document, "--figures", figures)
    done = run(peers, "-m", "benchmarks.choosing", *where, cwd=TEMPLATE, check=False)
    assert done.returncode == 2
    assert f"{document} and {figures} will not do: there is no place for figures" in done.stdout
    assert document.read_text("utf-8") == "no marks\n"
    assert not figures.exists()


COSTS = {"items": 2e-6, "rows": 1e-6, "batches": 5e-5, "wakes": 2e-5, "glances": 2e-7, "looks": 0.0}
POLICY = {
    "of_batch_seconds": 0.02, "of_batch_items": 2000, "of_quick_batches": 2.5, "of_prefetch": 3,
    "of_tick": 0.1, "of_most_workers": 1000,
}  # fmt: skip


def test_the_fit_finds_what_the_runs_were_made_of() -> None:
    """Costs from runs that have them exactly, one of which is nothing."""
    chance = random.Random(1)  # noqa: S311 - no secret
    runs = [{name: chance.uniform(1, 1000) for name in COSTS} for _ in range(30)]
    for each in runs:
        each["cpu"] = sum(COSTS[name] * each[name] for name in COSTS)
    assert main_cost.fit(runs) == pytest.approx(COSTS, rel=0.01, abs=1e-9)


@pytest.mark.parametrize(
    ("workers", "milliseconds", "share"),
    [
        (2, 100, 1.0),
        # 20 ms / (1,000 x (50 + 3 + 3 x 0.2 + 20 / 1,000 µs))
        (1000, 20, 0.373),
        # A batch has 20 items: 20 ms / (1,000 x (50 + 60 + 0.6 + 0.02 µs))
        (1000, 1, 0.181),
        # One batch at hand: 100 ms / (2,000 x (50 + 3 + 0.2 + 0.01 µs))
        (2000, 100, 0.940),
    ],
)
def test_the_model_says_how_much_of_the_workers_main_can_use(
    workers: int, milliseconds: float, share: float
) -> None:
    """By hand."""
    costs = {name: 1e6 * cost for name, cost in COSTS.items()}
    assert main_cost.used(costs, POLICY, workers, milliseconds) == pytest.approx(share, abs=0.001)
    shortest = main_cost.shortest(costs, POLICY, workers)
    assert main_cost.used(costs, POLICY, workers, 1.07 * shortest) >= main_cost.ENOUGH


def measured(text: str, part: str) -> str:
    """Return what stands between the marks of a part."""
    before, after = choosing.split(text, part)
    return text.removeprefix(before).removesuffix(after)


def rows_of(text: str) -> dict[str, list[str]]:
    """Return the table's cells, by the first of their row."""
    rows = [line.strip("|").split("|") for line in text.split("\n") if line.startswith("|")]
    return {first.strip(): [cell.strip() for cell in cells] for first, *cells in rows}


def number(cell: str) -> float:
    return float(cell.split(maxsplit=1)[0].replace(",", ""))


def one_line(text: str) -> str:
    return " ".join(text.split())
