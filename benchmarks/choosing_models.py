"""The execution models beside each other: time of whole runs, memory, and a killed worker."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import rendered
from .choosing_suite import MIDDLE, WORKERS
from .harness import Case, Outcome
from .results import Results

ONE = "a run of one item, start to end"
MEMORY = f"memory, whole service with {WORKERS} workers"
KILLED = "a worker is killed: until another is ready"
Runs = Sequence[tuple[int, float]]
"""Number of items, and of milliseconds that each takes."""
SIZES: dict[str, tuple[int, Runs]] = {
    "full": (3, ((200_000, 0), (10_000, 0.1), (1_000, 5), (40, 200))),
    "smallest": (1, ((20, 5),)),
}
"""Size to its rounds and runs."""
ENDLESS = (1_000_000, 5)

Medians = Mapping[str, Mapping[str, float]]
"""Row to model to the median of the rounds."""


def cases(size: str) -> list[Case]:
    """Return what is measured."""
    rounds, runs = SIZES[size]
    return [
        _case(ONE, rounds, 1, 0),
        *(_case(_title(items, length), rounds, items, length) for items, length in runs),
        _case(KILLED, rounds, *ENDLESS, kill=True),
    ]


def figures_of(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return what is kept of them."""
    results = Results(outcomes)
    found = {title: _row(results, title, "seconds") for title in results.by_title}
    killed = found.pop(KILLED)
    medians = found | {MEMORY: _row(results, KILLED, "memory_mb"), KILLED: killed}
    return {"rounds": outcomes[0].case.rounds, "medians": medians}


def table(kept: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield f"| | {' | '.join(rendered.MODELS)} |"
    yield "|---|" + "---:|" * len(rendered.MODELS)
    for title, row in kept["medians"].items():
        shown = {MEMORY: "{:,.0f} MB", KILLED: "{:.2g} s"}.get(title, "{:.1f} s")
        yield f"| {title} | {' | '.join(shown.format(row[model]) for model in rendered.MODELS)} |"


def paragraphs(kept: Mapping[str, Any]) -> Iterator[str]:
    """Yield how it was measured, and what the figures say of dask, beside process."""
    yield (
        f"Each run has {WORKERS} workers, and its items compute; the three in turns, median of "
        f"{kept['rounds']}. Memory is PSS of all processes, once {MIDDLE} items are done. Compare "
        "columns, not with other machines."
    )
    medians: Medians = kept["medians"]
    start, memory, killed = (medians[title] for title in (ONE, MEMORY, KILLED))
    longest = [title for title in medians if title not in {ONE, MEMORY, KILLED}][-1]
    rest = {model: medians[longest][model] - start[model] for model in ("process", "dask")}
    yield (
        f"What the figures say: dask takes {start['dask'] - start['process']:.1f} s longer to "
        f"start and to stop here, {memory['dask'] / memory['process']:.1f} times the memory, and "
        f"{killed['dask']:.2g} s to replace a worker, instead of {killed['process']:.2g} s. Start "
        f"and stop left out, {longest} take it {rest['dask'] / rest['process']:.2f} times as long "
        "as process."
    )


def _case(title: str, rounds: int, items: int, milliseconds: float, *, kill: bool = False) -> Case:
    options = {"items": items, "milliseconds": milliseconds, "kill": kill}
    models = rendered.MODELS
    return Case(title, "choosing_suite", models, rounds, "seconds", models[0], options)


def _title(items: int, milliseconds: float) -> str:
    length = f"of {milliseconds:g} ms" if milliseconds else "that do nothing"
    return f"{items:,} items {length}"


def _row(results: Results, title: str, figure: str) -> dict[str, float]:
    medians = {model: results.median(title, model, figure) for model in rendered.MODELS}
    return {model: round(value, 3) for model, value in medians.items() if value is not None}
