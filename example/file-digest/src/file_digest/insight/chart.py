"""The measurements of ``scale`` as a picture. Needs matplotlib: the extra ``chart``."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..system.files import shown
from .report import LIMITED, PROCESSES, THREADS, Measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".svg", ".png")
STYLES = {THREADS: ("o-", "#c2571a"), PROCESSES: ("s-", "#1a6cc2"), LIMITED: ("D", "#3a8a3a")}


def problem(path: Path) -> str:
    """Return why no picture can be drawn there, or nothing; to be asked before measuring."""
    if path.suffix not in FORMATS:
        return f"{shown(path)} must end in {' or '.join(FORMATS)}"
    if not path.parent.is_dir():
        return f"{shown(path.parent)} is not a folder"
    if find_spec("matplotlib") is None:
        return "needs matplotlib; install this project with its extra 'chart'"
    return ""


def draw(measured: list[Measured], title: str, path: Path) -> None:
    """Write a picture of items a second by workers, in the format that the name ends in.

    Raises:
        ImportError: There is no matplotlib here.
        OSError: The file cannot be written.
    """
    figure(measured, title).savefig(path)


def figure(measured: list[Measured], title: str) -> "Figure":
    """Return the picture.

    Raises:
        ImportError: There is no matplotlib here.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional, and slow to import

    picture = Figure(figsize=(7, 4.5), layout="constrained")
    axes = picture.subplots()
    counts = sorted({one.workers for one in measured})
    base = measured[0].rate
    axes.plot(counts, [base * count for count in counts], ":", color="#888888", label="ideal")
    for kind, (style, colour) in STYLES.items():
        if line := [one for one in measured if one.kind == kind]:
            rates = [one.rate for one in line]
            axes.plot([one.workers for one in line], rates, style, color=colour, label=kind)
    axes.set(title=title, xlabel="workers", ylabel="items per second", xticks=counts)
    axes.set_ylim(0, 1.25 * max(one.rate for one in measured))
    axes.legend()
    axes.grid(alpha=0.3)
    return picture
