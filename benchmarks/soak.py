"""Repeats the fault tests of a rendered service, and prints what came out of each row.

    python -m benchmarks.soak [--times N] [--model process|pool|dask] [--tries N] [--jobs N]

Each round is the generated project's own fault table. A row survives a round if all its tests
passed; its figures are what the tests reported.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from uv import find_uv_bin

from . import rendered

VERDICT = re.compile(r"^(tests/\S+?::\S.*?) (PASSED|FAILED|ERROR|XFAIL|SKIPPED)\b", re.MULTILINE)


@dataclass
class Row:
    """The results of one test over all rounds."""

    fault: str
    verdicts: Counter[str] = field(default_factory=Counter)
    """Outcome of the test to the number of rounds."""
    tries: int = 0
    """Total number of faults that the test reported."""
    lost: int = 0
    """Items or log records lost, in all."""
    seconds: float = 0.0
    """The longest that it took to recover, or to end."""

    @property
    def survived(self) -> bool:
        """Whether it passed in every round, or was expected not to."""
        return not (self.verdicts["FAILED"] or self.verdicts["ERROR"])

    def add(self, report: dict[str, Any]) -> None:
        """Take in what the test reported in one round."""
        self.fault = report["row"]
        self.tries += report.get("tries", 1)
        self.lost += report.get("lost", 0)
        self.seconds = max(self.seconds, report.get("seconds", 0.0))

    def cells(self) -> list[str]:
        """Return it as a row of the table."""
        runs, took = self.verdicts.total(), f"{self.seconds:.2f}" if self.seconds else ""
        passed = self.verdicts["PASSED"]
        return [self.fault, f"{passed} of {runs}", str(self.tries or runs), str(self.lost), took]


Soak = dict[str, Row]
"""Test id to what it showed."""


def main() -> int:
    """Run the rounds; return 1 if a row did not survive all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="rounds (default: 20)")
    parser.add_argument("--tries", type=int, default=2, help="repetitions within a row")
    parser.add_argument("--jobs", type=int, default=2, help="tables at a time (default: 2)")
    parser.add_argument(
        "--model",
        choices=rendered.MODELS,
        default="process",
        help="execution model (default: process)",
    )
    options = parser.parse_args()
    soak: Soak = {}
    with tempfile.TemporaryDirectory() as folder:
        project = _render(Path(folder), options.model)
        tables = sorted(project.glob("tests/test_*_faults.py"))
        with suppress(KeyboardInterrupt):  # then what came out so far is shown
            for number in range(1, options.times + 1):
                with ThreadPoolExecutor(options.jobs) as executor:
                    played = partial(_play, options.tries, Path(folder))
                    failed = sum(_note(soak, *result) for result in executor.map(played, tables))
                shown = f"round {number} of {options.times}: {failed or 'nothing'} failed\n"
                sys.stdout.write(shown)
                sys.stdout.flush()
    _print_table(soak)
    return int(not all(row.survived for row in soak.values()))


def _render(folder: Path, model: str) -> Path:
    template = rendered.copy_template(folder / "template")
    project = rendered.render(template, model, "file_digest", folder).parent
    subprocess.run([find_uv_bin(), "sync", "--quiet"], cwd=project, check=True)
    return project


def _play(tries: int, folder: Path, table: Path) -> tuple[str, list[dict[str, Any]]]:
    """Run one table; return what pytest printed, and what the tests reported."""
    figures = folder / f"{table.stem}.jsonl"
    figures.write_text("")
    own = {"FAULT_TRIES": str(tries), "FAULT_SLACK": "1", "FAULT_REPORT": str(figures)}
    done = subprocess.run(
        [
            *(table.parent.parent / ".venv/bin/pytest", "-v", "--color=no", "-m", "", table),
            *("-p", "no:cacheprovider", "--basetemp", folder / table.stem),
        ],
        cwd=table.parent.parent,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, [json.loads(line) for line in figures.read_text().splitlines()]


def _note(soak: Soak, printed: str, reports: Sequence[dict[str, Any]]) -> int:
    """Add one table to the results; show it, and return how many tests failed, if any did."""
    verdicts = VERDICT.findall(printed)
    for name, verdict in verdicts:
        soak.setdefault(name, Row(name.removeprefix("tests/"))).verdicts[verdict] += 1
    for report in reports:
        soak[report["test"]].add(report)
    failed = [name for name, verdict in verdicts if verdict in {"FAILED", "ERROR"}]
    if failed or not verdicts:
        sys.stdout.write(printed[-20_000:])
    return len(failed) + (not verdicts)


def _print_table(soak: Soak) -> None:
    sys.stdout.write("\n| fault | survived | tries | lost | longest recovery or end, s |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    for row in soak.values():
        sys.stdout.write(f"| {' | '.join(row.cells())} |\n")


if __name__ == "__main__":
    sys.exit(main())
