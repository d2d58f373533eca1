"""Repeats the fault tests of a rendered service, and prints what came out of each row.

    python -m benchmarks.soak [--times N] [--model process|pool|dask] [--tries N]

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
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cookiecutter.main import cookiecutter
from uv import find_uv_bin

TEMPLATE = Path(__file__).parent.parent
TABLES = [f"tests/test_{what}_faults.py" for what in ("worker", "stop", "log", "journal")]
VERDICT = re.compile(r"^(tests/\S+?::\S.*?) (PASSED|FAILED|ERROR|XFAIL|SKIPPED)\b", re.MULTILINE)


@dataclass
class Soak:
    """What all rounds together showed."""

    verdicts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """How often each test ended how."""
    figures: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """The largest figure of each kind that the tests reported, by fault."""
    reports: Counter[str] = field(default_factory=Counter)
    """How often each fault was reported as survived."""


def main() -> int:
    """Run the rounds; return 1 if a row did not survive all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="rounds (default: 20)")
    parser.add_argument("--tries", type=int, default=2, help="repetitions within a row")
    parser.add_argument("--model", default="process", help="execution model (default: process)")
    options = parser.parse_args()
    soak = Soak()
    with tempfile.TemporaryDirectory() as folder:
        project = _render(Path(folder), options.model)
        for number in range(1, options.times + 1):
            failed = _round(project, options.tries, soak)
            sys.stdout.write(f"round {number} of {options.times}: {failed or 'nothing'} failed\n")
            sys.stdout.flush()
    _print_tables(soak)
    return int(any(counts["FAILED"] or counts["ERROR"] for counts in soak.verdicts.values()))


def _render(folder: Path, model: str) -> Path:
    answers = {"execution_model": model}
    path = cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(folder), extra_context=answers)
    subprocess.run([find_uv_bin(), "sync", "--quiet"], cwd=path, check=True)
    return Path(path)


def _round(project: Path, tries: int, soak: Soak) -> int:
    figures = project / "figures.jsonl"
    figures.write_text("")
    environment = os.environ | {"FAULT_TRIES": str(tries), "FAULT_REPORT": str(figures)}
    tables = [table for table in TABLES if (project / table).exists()]
    done = subprocess.run(
        [project / ".venv/bin/pytest", "-v", "--color=no", "-p", "no:cacheprovider", *tables],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = VERDICT.findall(done.stdout)
    for name, verdict in verdicts:
        soak.verdicts[name.removeprefix("tests/")][verdict] += 1
    for line in figures.read_text().splitlines():
        _add(soak, json.loads(line))
    failed = [name for name, verdict in verdicts if verdict in {"FAILED", "ERROR"}]
    if failed or not verdicts:
        sys.stdout.write(done.stdout[-20_000:])
    return len(failed)


def _add(soak: Soak, report: dict[str, Any]) -> None:
    """Keep the largest of each figure that the tests reported of a fault."""
    fault = report.pop("row")
    soak.reports[fault] += 1
    soak.figures[fault] |= Counter(report)


def _print_tables(soak: Soak) -> None:
    sys.stdout.write("\n| fault | reports | largest figures |\n|---|---|---|\n")
    for fault, figures in soak.figures.items():
        shown = ", ".join(f"{name} {figures[name]:g}" for name in figures)
        sys.stdout.write(f"| {fault} | {soak.reports[fault]} | {shown} |\n")
    sys.stdout.write("\n| test | tries | survived |\n|---|---|---|\n")
    for name, counts in soak.verdicts.items():
        sys.stdout.write(f"| {name} | {counts.total()} | {counts['PASSED']} |\n")


if __name__ == "__main__":
    sys.exit(main())
