"""A journal of many rows: what it takes to find that all is done, and to export it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .harness import Figures
from .whole_suite import journalled, run_python

BUFFER_BYTES = 1 << 20


def contestants() -> Sequence[str]:
    """Return their names: the journal is the same with each execution model."""
    return ["ours, process"]


def measure(name: str, options: dict[str, Any], folder: Path) -> Figures:
    """Make a journal of ``options["rows"]`` by a run, then run again and export.

    Each is a command, from its start to its end.

    Raises:
        RuntimeError: Not every item is done once, or not every row is exported.
    """
    service, rows = ["-m", f"bench_{name.removeprefix('ours, ')}"], options["rows"]
    doing = [*service, "run", str(rows)]
    run_python(doing, folder)
    journal = journalled(folder)
    seconds = {"rerun_us": run_python(doing, folder)}
    if journalled(folder) != journal or journal[0] != rows:
        raise RuntimeError(f"{journalled(folder)[0]} of {rows} items are done")
    for form, head in (("jsonl", 0), ("csv", 1)):
        exporting = [*service, "export", "--format", form, "--output", form]
        seconds[f"{form}_us"] = run_python(exporting, folder)
        if (lines := _lines(folder / form) - head) != rows:
            raise RuntimeError(f"{lines} of {rows} rows are exported as {form}")
    return {figure: value / rows * 1e6 for figure, value in seconds.items()}


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(part.count(b"\n") for part in iter(lambda: file.read(BUFFER_BYTES), b""))
