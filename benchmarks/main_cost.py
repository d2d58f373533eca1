"""Fit main's processor time to runs, and tell for how many workers one main is enough.

The model is a sum: so many microseconds for each item, journal row, batch, wake-up, and for each
worker that main looks at. It is fitted from runs of a few real workers and of some numbers of
stand-ins, and checked against runs of other numbers of stand-ins, with items of other lengths.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import median
from typing import Any

from .harness import Case, Figures, Outcome
from .main_suite import STAND_INS, WORKERS

COSTS = {
    "items": "item",
    "rows": "row of the journal",
    "batches": "batch",
    "wakes": "wake-up",
    "glances": "worker that it might give a batch to",
    "looks": "worker that it looks after",
}
"""Field of ``Counts`` to what the document calls one of it."""
SWEEPS, SETTLED = 20_000, 1e-9
"""The most that the fit goes over the costs, and by how little they still change at its end."""
ENOUGH = 0.95
"""Share of the workers' time from which on one main is enough for them."""
LENGTHS = [10 ** (exponent / 40) for exponent in range(-80, 201)]
"""Milliseconds to look for the shortest item at."""


Runs = tuple[Sequence[int], Sequence[float]]
"""Numbers of workers, and milliseconds of an item: each with each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Numbers and lengths of the runs."""

    seconds: float
    warm_seconds: float
    """Before; the longest items must have been done once by then."""
    real: Runs
    """Runs to fit the model to, with a journal and without."""
    stand_ins: Runs
    """The same, with a journal."""
    simulated: Runs
    """Runs to check the model against."""


SIZES = {
    "full": Sizes(
        seconds=2.0,
        warm_seconds=1.5,
        real=((2, 8, 32), (0, 1, 10, 100)),
        stand_ins=((128, 512), (3, 30, 300)),
        simulated=((64, 256, 1_024), (1, 10, 100, 1_000)),
    ),
    "smallest": Sizes(
        seconds=0.3,
        warm_seconds=0.2,
        real=((1, 2), (0, 1)),
        stand_ins=((3,), (5,)),
        simulated=((4,), (10,)),
    ),
}


def cases(size: str) -> list[Case]:
    """Return the runs to fit from, and those to check against."""
    sizes = SIZES[size]
    return [
        *(_case(sizes, WORKERS, *run) for run in product(*sizes.real)),
        *(_case(sizes, WORKERS, *run, journal=False) for run in product(*sizes.real)),
        *(_case(sizes, STAND_INS, *run) for run in product(*sizes.stand_ins)),
        *(_case(sizes, STAND_INS, *run, fitted=False) for run in product(*sizes.simulated)),
    ]


def figures_of(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return what is kept of them: the costs, and each simulated run beside the model."""
    runs = [(outcome.case.options, _only(outcome)) for outcome in outcomes]
    fitted = [run for options, run in runs if options["fitted"]]
    costs = fit(fitted)
    simulated = [_simulated(costs, *run) for run in runs if not run[0]["fitted"]]
    return {
        "microseconds": {name: round(cost * 1e6, 3) for name, cost in costs.items()},
        "policy": {name: fitted[0][name] for name in fitted[0] if name.startswith("of_")},
        "fitted_runs": len(fitted),
        "fitted_off": round(median(abs(_off(costs, run)) for run in fitted), 3),
        "simulated": simulated,
    }


def fit(runs: Sequence[Figures]) -> dict[str, float]:
    """Return the seconds that one of each costs: none below 0, and the least relative errors.

    Coordinate descent: each cost in turn takes what the others leave to explain.
    """
    columns = {name: [run[name] / run["cpu"] for run in runs] for name in COSTS}
    columns = {name: column for name, column in columns.items() if any(column)}
    costs, left = dict.fromkeys(COSTS, 0.0), [1.0] * len(runs)
    for _ in range(SWEEPS):
        before = left
        for name, column in columns.items():
            step = max(_product(column, left) / _product(column, column), -costs[name])
            costs[name] += step
            left = [rest - step * x for rest, x in zip(left, column, strict=True)]
        if math.dist(before, left) < SETTLED:
            break
    return costs


def used(costs: Mapping[str, float], policy: Figures, workers: int, milliseconds: float) -> float:
    """Return the share of the workers' time that main can use, by the model.

    At most all of them report between two wake-ups, so that is what a wake-up is shared by.

    Args:
        costs: Microseconds.
        policy: How large batches are, and how often main looks after workers.
        workers: How many.
        milliseconds: How long each item takes.
    """
    length = milliseconds / 1000
    items = max(1, int(min(policy["of_batch_seconds"] / length, policy["of_batch_items"])))
    seconds = items * length
    quick = seconds < policy["of_quick_batches"] * policy["of_batch_seconds"]
    glances = policy["of_prefetch"] if quick else 1
    each = costs["batches"] + items * (costs["items"] + costs["rows"])
    each += costs["wakes"] / workers + costs["glances"] * glances
    free = 1 - costs["looks"] * 1e-6 * workers / policy["of_tick"]
    return max(0.0, min(1.0, free / (workers * each * 1e-6 / seconds)))


def shortest(costs: Mapping[str, float], policy: Figures, workers: int) -> float:
    """Return from how many milliseconds an item on one main is enough, by the model."""
    too_short = (ms for ms in reversed(LENGTHS) if used(costs, policy, workers, ms) < ENOUGH)
    return next(too_short, LENGTHS[0])


def table(kept: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a table: workers, and what comes of items of each length."""
    runs = kept["simulated"]
    lengths = sorted({run["milliseconds"] for run in runs})
    yield "| workers | " + " | ".join(f"items of {_span(length)}" for length in lengths) + " |"
    yield "|---:|" + "---:|" * len(lengths)
    for workers in sorted({run["workers"] for run in runs}):
        cells = [_cell(run) for run in runs if run["workers"] == workers]
        yield f"| {workers:,} | {' | '.join(cells)} |"


def paragraphs(kept: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the table shows, from where on one main is enough, and how good the model is."""
    stand_ins = max(run["stand_ins"] for run in kept["simulated"])
    yield (
        "Each cell has the share of the workers' time that is used, and what main takes of a "
        f"core, journal and log included; bold is where one main is enough, from {ENOUGH:.0%} on. "
        "The workers are stand-ins: sockets that answer as workers do, after the items' time, from "
        f"a process that itself took {stand_ins:.0%} of a core at most. More than "
        f"{kept['policy']['of_most_workers']:,.0f} workers are only simulated: `--workers` takes "
        "no more."
    )
    yield _enough(kept)
    yield f"{_costs(kept)} {_errors(kept)}"


def _enough(kept: Mapping[str, Any]) -> str:
    costs, policy = kept["microseconds"], kept["policy"]
    enough = [
        f"{workers:,} workers from items of {_span(shortest(costs, policy, workers))} on"
        for workers in sorted({run["workers"] for run in kept["simulated"]})
    ]
    return f"By the model, one main is enough for {', for '.join(enough)}."


def _costs(kept: Mapping[str, Any]) -> str:
    parts = [f"{kept['microseconds'][name]:.3g} µs for each {one}" for name, one in COSTS.items()]
    return (
        f"The model: main takes {', '.join(parts)}. That is fitted from {kept['fitted_runs']} "
        "other runs, most of them of real workers, with a journal and without, and meets them to "
        f"within {kept['fitted_off']:.0%} (median)."
    )


def _errors(kept: Mapping[str, Any]) -> str:
    """Say by how much the model and the simulation differ."""
    costs, policy, runs = kept["microseconds"], kept["policy"], kept["simulated"]
    off = [abs(run["off"]) for run in runs]
    shares = [used(costs, policy, run["workers"], run["milliseconds"]) for run in runs]
    apart = [abs(run["used"] - share) for run, share in zip(runs, shares, strict=True)]
    return (
        f"In the simulation main takes what the model says to within {median(off):.0%} (median; "
        f"at most {max(off):.0%}), and the share of the workers' time differs by "
        f"{100 * median(apart):.0f} points (at most {100 * max(apart):.0f})."
    )


def _case(sizes: Sizes, name: str, workers: int, length: float, **how: bool) -> Case:
    title = f"main with {workers:,} {name}, items of {length:g} ms"
    title += "" if how.get("journal", True) else ", no journal"
    at_least = 2 * length / 1000
    options = {
        "workers": workers,
        "milliseconds": length,
        "seconds": max(sizes.seconds, at_least),
        "warm_seconds": max(sizes.warm_seconds, at_least),
        "journal": True,
        "fitted": True,
    }
    return Case(title, "main_suite", [name], 1, "cpu", name, options | how)


def _only(outcome: Outcome) -> Figures:
    """Return the figures of a case that has one bout."""
    [[figures]] = outcome.bouts.values()
    return figures or {}


def _simulated(
    costs: Mapping[str, float], options: Mapping[str, Any], run: Figures
) -> dict[str, float]:
    workers, milliseconds = options["workers"], options["milliseconds"]
    shares = {
        "used": run["items"] * milliseconds / 1000 / workers / run["at"],
        "main": run["cpu"] / run["at"],
        "stand_ins": run["others"] / run["at"],
        "off": _off(costs, run),
    }
    rounded = {name: round(share, 3) for name, share in shares.items()}
    return {"workers": workers, "milliseconds": milliseconds, **rounded}


def _off(costs: Mapping[str, float], run: Figures) -> float:
    """Return by how much of it the model misses main's time in a run."""
    return sum(cost * run[name] for name, cost in costs.items()) / run["cpu"] - 1


def _product(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def _cell(run: Mapping[str, float]) -> str:
    share = f"{min(1.0, run['used']):.0%}"
    share = f"**{share}**" if run["used"] >= ENOUGH else share
    return f"{share}, main {run['main']:.0%}"


def _span(milliseconds: float) -> str:
    shown = float(f"{milliseconds:.2g}")
    return f"{shown:g} ms" if shown < 1000 else f"{shown / 1000:g} s"
