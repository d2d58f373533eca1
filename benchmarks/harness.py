"""Runs contestants in turns, each bout in a fresh process, and collects their figures.

A bout is one contestant's measurement in one round. A fresh process for each keeps one peer's
imports, threads and leftovers out of the next one's figures, and one that hangs can be ended.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .machine import Load, foreign_load

ROOT = Path(__file__).parent.parent
BOUT_SECONDS = 120.0

Figures = dict[str, float]


class Suite(Protocol):
    """A module of contestants that are measured in the same way."""

    def contestants(self) -> Sequence[str]:
        """Return their names."""

    def measure(self, contestant: str, options: dict[str, Any], folder: Path) -> Figures:
        """Measure one of them once; ``folder`` is empty and for this bout alone."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question to several contestants: a table of the report."""

    title: str
    suite: str
    """Module of this package."""
    contestants: Sequence[str]
    rounds: int
    main: str
    """The figure that counts."""
    baseline: str
    """The contestant that the others are compared with."""
    options: dict[str, Any] = field(default_factory=dict)
    about: str = ""
    """A note for the reader on how it was measured."""


@dataclass(slots=True)
class Outcome:
    """Results of a case: figures by contestant, one set for each round, None where it failed."""

    case: Case
    bouts: dict[str, list[Figures | None]]
    failures: dict[str, str] = field(default_factory=dict)
    """Contestant to why its last failed bout failed."""
    loads: list[Load] = field(default_factory=list)
    """The load of other programs on this machine just before each round."""


def play(case: Case, environ: dict[str, str], tell: Callable[[str], None]) -> Outcome:
    """Play all rounds of a case: A B C, A B C, and so on."""
    outcome = Outcome(case, {name: [] for name in case.contestants})
    for number in range(case.rounds):
        outcome.loads.append(foreign_load())
        tell(f"{case.title}: round {number + 1} of {case.rounds}, {outcome.loads[-1]}")
        for name in case.contestants:
            try:
                outcome.bouts[name].append(bout(case, name, environ))
            except BoutError as error:
                outcome.bouts[name].append(None)
                outcome.failures[name] = str(error)
                tell(f"  {name}: {error}")
    return outcome


class BoutError(Exception):
    """A contestant raised, hung, or did not do all of its work; one line."""


def bout(case: Case, contestant: str, environ: dict[str, str]) -> Figures:
    """Measure one contestant once, in a process of its own.

    Raises:
        BoutError: There are no figures.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        order = [case.suite, contestant, json.dumps(case.options), folder]
        with Path(folder, "output").open("w+b") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.bout", *order],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                code = process.wait(BOUT_SECONDS)
            except subprocess.TimeoutExpired:
                raise BoutError(f"not done after {BOUT_SECONDS:g} s") from None
            finally:
                _end(process)
            if code:
                raise BoutError(_last_line(Path(folder, "output")) or f"exit code {code}")
        figures: Figures = json.loads(Path(folder, "figures.json").read_text("utf-8"))
        return figures


def to_json(outcomes: Sequence[Outcome]) -> str:
    """Return all figures as JSON text."""
    return json.dumps([asdict(outcome) for outcome in outcomes], indent=1)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Leave nothing behind: what a peer started is in the session that the bout began."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(path: Path) -> str:
    lines = path.read_text("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
