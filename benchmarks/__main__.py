"""Measures everything and writes the report: `make bench`, `make bench QUICK=1`."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import cases, goals, harness, machine, payloads, rendered, report
from .pictures import Picture, picture
from .results import IDEAL, Results

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
SIZES = {"full": cases.FULL, "quick": cases.QUICK, "smallest": cases.SMALLEST}
BRACKETS = "the chunk size, how many items the peer sends to a worker at a time"
CHUNKS = f"(32), (1000): {BRACKETS}"
PICTURES = {
    "log.svg": Picture(
        title=cases.LOG, figure=goals.RECORDS, wanted=goals.LOG_WANTED[cases.LOG],
        other=goals.CLASSIC, caption="Log records per second, 4 workers, one file",
    ),
    "items.svg": Picture(
        title=cases.TINY, figure=goals.ITEMS, note=CHUNKS,
        caption="Tiny items per second, 2 workers",
    ),
    "uneven.svg": Picture(
        title=cases.UNEVEN, figure=goals.TO_LAST, lowest_first=True, wanted=goals.IDEAL_WANTED,
        other=IDEAL, note=f"(4), (16), (64): {BRACKETS}",
        caption="Uneven items: seconds to the last result, 2 workers",
    ),
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all cases, or those whose titles contain a word."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full", help="how much to measure")
    parser.add_argument(
        "--only", default=[""], nargs="*", help="parts of titles: measure these cases"
    )
    parser.add_argument("--output", type=Path, default=HERE, help="folder for report and pictures")
    given = parser.parse_args(arguments)
    sizes, began = SIZES[given.size], time.monotonic()
    versions = machine.versions(REQUIREMENTS)  # what is missing is to be said before the work
    with _field(sizes.files) as (environ, template, files):
        chosen = [
            case
            for case in cases.cases(sizes, template, files)
            if any(part in case.title for part in given.only)
        ]
        outcomes = [harness.play(case, environ, _tell) for case in chosen]
    minutes = (time.monotonic() - began) / 60
    facts = [
        f"{time.strftime('%Y-%m-%d')}, {given.size} run, {minutes:.0f} minutes",
        *machine.machine(),
        ", ".join(versions),
    ]
    _write(given.output, outcomes, report.report(outcomes, sizes, facts))


@contextmanager
def _field(files: int) -> Iterator[tuple[dict[str, str], str, str]]:
    """Render the service, make files to digest; yield environment, template and their folder."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        template = rendered.copy_template(Path(folder, "template"))
        projects, digested = Path(folder, "projects"), Path(folder, "files")
        path = [str(harness.ROOT), *map(str, rendered.render_all(template, projects))]
        for number in range(files):
            part = cases.FIRST if number < cases.FIRST_FILES else "rest"
            thousand = digested / part / f"{number // 1000:03d}"
            if number % 1000 == 0:
                thousand.mkdir(parents=True)
            text = f"some words in line {number}\n" * (20 + number % 40)
            (thousand / f"{number:06d}.txt").write_text(text, "ascii")
        loops = str(payloads.loops_of_a_millisecond())
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(path), "BENCH_LOOPS": loops}
        yield environ, str(template), str(digested)


def _write(folder: Path, outcomes: Sequence[harness.Outcome], text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "RESULTS.md").write_text(text, "utf-8")
    (folder / "figures.json").write_text(harness.to_json(outcomes), "utf-8")
    results = Results(outcomes)
    for name, shown in PICTURES.items():
        if shown.title in results.by_title:
            (folder / name).write_text(picture(results, shown), "utf-8")
    _tell(f"written: {folder / 'RESULTS.md'}")


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
