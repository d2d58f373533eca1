"""The whole service, from its command to the end: files digested, start, cost per item."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

from . import rendered
from .harness import ROOT, Figures
from .machine import memory_mb

WORKERS = 2
SCRIPTS = {"plain Pool script": 1, "plain Pool script, chunks of 32": 32}
EACH_LOGGED = ", each file logged"
KEEPING = ", keeping outcomes for 1 s"


def contestants() -> Sequence[str]:
    """Return the names of those who digest files."""
    ours = [f"ours, {model}" for model in rendered.MODELS]
    return [ours[0], ours[0] + EACH_LOGGED, *ours[1:], *SCRIPTS]


def measure(name: str, options: dict[str, Any], folder: Path) -> Figures:
    """Measure one contestant at what ``options["what"]`` says."""
    model = name.removesuffix(EACH_LOGGED).removesuffix(KEEPING).removeprefix("ours, ")
    match options["what"]:
        case "digest":
            return _digest(name, model, Path(options["files"]), folder)
        case "cost":
            keep = 1 if name.endswith(KEEPING) else None
            return _cost(model, options["items"], folder, keep)
        case "start":
            return _start(model, folder)
        case _:
            return _rendering(Path(options["template"]), model)


def _digest(name: str, model: str, files: Path, folder: Path) -> Figures:
    command: list[str | Path]
    if name in SCRIPTS:
        command = [ROOT / "benchmarks" / "plain_script.py", files, str(SCRIPTS[name])]
    else:
        level = "DEBUG" if name.endswith(EACH_LOGGED) else "INFO"
        command = ["-m", f"digest_{model}", "run", files, "--log-level", level]
    seconds = run_python(command, folder)
    total = sum(len(names) for _, _, names in os.walk(files))
    if (done := _printed(folder) if name in SCRIPTS else journalled(folder)[0]) != total:
        raise RuntimeError(f"{done} of {total} files were digested")
    return {"seconds": seconds, "files_per_second": total / seconds}


def _cost(model: str, items: int, folder: Path, keep: int | None) -> Figures:
    main, progress = rendered.module(model, "main"), rendered.module(model, "cli.progress")

    class Clock(progress.Progress):  # type: ignore[misc,name-defined] # the rendered class
        """Notes when the first and the last outcome came."""

        first = 0.0
        warm = 0
        last = 0.0

        def show(self, stats: Any) -> None:
            """Note."""
            self.last = time.perf_counter()
            if not self.first and stats.done:
                self.first, self.warm = self.last, stats.done

    clock, began, memory = Clock(), time.perf_counter(), memory_mb(os.getpid())
    given = rendered.settings(model, folder, workers=WORKERS, prune_older_than=keep)
    stats = main.run(given, [str(items)], clock)
    if stats.done != items:
        raise RuntimeError(f"{stats.done} of {items} items are done")
    return {
        "us_per_item": (clock.last - clock.first) / max(1, items - clock.warm) * 1e6,
        "start_s": clock.first - began,
        "memory_mb": memory_mb(os.getpid(), peak=True) - memory,
        "journal_mb": (folder / "results.db").stat().st_size / 1e6,
    }


def _start(model: str, folder: Path) -> Figures:
    helping = run_python(["-m", f"bench_{model}", "--help"], folder)
    began = time.time()
    run_python(["-m", f"bench_{model}", "run", "10"], folder)
    return {"help_s": helping, "first_outcome_s": journalled(folder)[1] - began}


def _rendering(template: Path, model: str) -> Figures:
    import_module("cookiecutter.main")  # its own import takes longer than the work
    with tempfile.TemporaryDirectory() as target:
        began = time.perf_counter()
        rendered.render(template, model, "one_more", Path(target), hooks=True)
        return {"rendering_s": time.perf_counter() - began}


def run_python(command: Sequence[str | Path], folder: Path) -> float:
    """Run Python on two workers, output to a file; return the seconds it took."""
    environ = os.environ | {
        f"{job}_{model}_run_workers".upper(): str(WORKERS)
        for job in ("digest", "bench")
        for model in rendered.MODELS
    }
    with (folder / "printed").open("wb") as output:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, *command], cwd=folder, env=environ, stdout=output, check=True
        )
        return time.perf_counter() - began


def _printed(folder: Path) -> int:
    return (folder / "printed").read_bytes().count(b"\n")


def journalled(folder: Path) -> tuple[int, float]:
    """Return how many items are done, and when the first of them was."""
    with closing(sqlite3.connect(folder / "results.db")) as database:
        query = "SELECT COUNT(*), MIN(started + seconds) FROM outcomes WHERE status = 'done'"
        done, first = database.execute(query).fetchone()
        return int(done), float(first)
