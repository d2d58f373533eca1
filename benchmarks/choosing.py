"""Measures what docs/choosing.md tells, and writes it there: `make choosing`.

What stands between the document's marks is made of figures that are kept in choosing.json, so
none of them is typed by hand.
"""

import argparse
import json
import os
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from . import choosing_models, harness, machine, main_cost, payloads, rendered
from .harness import Outcome

HERE = Path(__file__).parent
DOCUMENT = harness.ROOT / "docs" / "choosing.md"
FIGURES = HERE / "choosing.json"
JOB = HERE / "choosing_job.py"
PARTS: dict[str, Any] = {"models": choosing_models, "main": main_cost}
"""Name in the marks to the module that knows what is measured, and what it says."""
WIDTH = 120
QUIET = 0.1
"""Share of the cores up to which others may take what they like."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, keep the figures, and write the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.choosing", description=__doc__)
    parser.add_argument("--size", choices=("full", "smallest"), default="full", help="how much")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; the rest is kept")
    parser.add_argument("--document", type=Path, default=DOCUMENT, help="what to write into")
    parser.add_argument("--figures", type=Path, default=FIGURES, help="where figures are kept")
    given = parser.parse_args(arguments)
    try:
        document, before = given.document.read_text("utf-8"), _stored(given.figures)
        for part in PARTS:
            split(document, part)
    except (OSError, ValueError) as error:
        parser.error(f"{given.document} and {given.figures} will not do: {error}")
    with _field() as environ:
        measured = {part: _measured(part, given.size, environ) for part in given.only or PARTS}
    kept = before | measured
    given.figures.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    given.document.write_text(with_figures(document, kept), "utf-8")


def with_figures(document: str, kept: Mapping[str, Any]) -> str:
    """Return the document with these figures between its marks."""
    for name, figures in kept.items():
        part, (before, after) = PARTS[name], split(document, name)
        text = [_where(figures["facts"]), *part.paragraphs(figures)]
        filled = [textwrap.fill(each, WIDTH, break_on_hyphens=False) for each in text]
        document = "\n\n".join([before, "\n".join(part.table(figures)), *filled, after])
    return document


def split(document: str, part: str) -> tuple[str, str]:
    """Return what stands before and behind the place for a part, the marks included.

    Raises:
        ValueError: There is no such place.
    """
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    before, begins, rest = document.partition(begin)
    _, ends, after = rest.partition(end)
    if not (begins and ends):
        raise ValueError(f"there is no place for figures, {begin} … {end}")
    return before + begin, end + after


def _stored(figures: Path) -> dict[str, Any]:
    """Return the figures that are kept so far; none where there is no file yet.

    Raises:
        OSError, ValueError: It cannot be read, or has no folder.
    """
    if not figures.exists():
        figures.parent.resolve(strict=True)
        return {}
    return dict(json.loads(figures.read_text("utf-8")))


@contextmanager
def _field() -> Iterator[dict[str, str]]:
    """Render the models with our job; yield the environment to run them in."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        template = rendered.copy_template(Path(folder, "template"))
        projects, models = Path(folder, "projects"), rendered.MODELS
        path = [harness.ROOT, *(rendered.render_bench(template, m, projects, JOB) for m in models)]
        loops = str(payloads.loops_of_a_millisecond())
        yield os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path)), "BENCH_LOOPS": loops}


def _measured(name: str, size: str, environ: dict[str, str]) -> dict[str, Any]:
    """Measure a part; return what is kept of it.

    Raises:
        SystemExit: Something could not be measured.
    """
    part = PARTS[name]
    outcomes = [harness.play(case, environ, _tell) for case in part.cases(size)]
    if failed := [f"{who}: {why}" for each in outcomes for who, why in each.failures.items()]:
        sys.exit(f"nothing is written: {'; '.join(failed)}")
    return {"facts": _facts(outcomes), **part.figures_of(outcomes)}


def _facts(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    loads = [load for outcome in outcomes for load in outcome.loads]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": [*machine.machine(), f"distributed {version('distributed')}"],
        "load": round(median(load.average for load in loads), 1),
        "others": round(median(load.busy for load in loads), 2),
        "others_at_most": round(max(load.busy for load in loads), 2),
    }


def _where(facts: Mapping[str, Any]) -> str:
    busy = " That is too much: these figures are preliminary." if facts["others"] > QUIET else ""
    return (
        f"*Measured* on {facts['date']} by `make choosing`: {', '.join(facts['machine'])}. Before "
        f"each round others took {facts['others']:.0%} of the cores (at most "
        f"{facts['others_at_most']:.0%}), load average {facts['load']:g}.{busy}"
    )


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
