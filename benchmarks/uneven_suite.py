"""Two workers do items of very different lengths; how long the last result takes to come."""

import os
import random
import time
from collections.abc import Sequence
from math import log
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

from .harness import Figures
from .item_contestants import contestant, sweep
from .item_peer import CONTEXT, WORKERS
from .ours import Ours
from .payloads import compute
from .results import IDEAL

SEED = 17
MEDIAN_MS, LONGEST_MS = 2.0, 400.0
SIGMA = 1.5
"""Of the logarithms: about one item in 2,000 is as long as the longest or longer, and is left out.

One that is as long takes its place."""
CHUNKS = (1, 4, 16, 64)
START_SECONDS = 30.0


def contestants() -> Sequence[str]:
    """Return their names."""
    return ["ours, process", "ours, pool", "Pool.map", *sweep(*CHUNKS), IDEAL]


def lengths(seconds: float, *, longest_last: bool) -> list[float]:
    """Return items' lengths in milliseconds, the same ones each time.

    Args:
        seconds: About how long all workers together take.
        longest_last: Whether to sort them.
    """
    draw = random.Random(SEED)  # noqa: S311 - these are no secrets
    drawn, rest = [LONGEST_MS], seconds * 1000 * WORKERS - LONGEST_MS
    while rest > 0:
        if (length := draw.lognormvariate(log(MEDIAN_MS), SIGMA)) < LONGEST_MS:
            drawn.append(length)
            rest -= length
    draw.shuffle(drawn)
    return sorted(drawn) if longest_last else drawn


def measure(name: str, options: dict[str, Any], folder: Path) -> Figures:
    """Measure one contestant; ``options`` are seconds and whether the longest come last.

    Raises:
        RuntimeError: Not every item came back once.
    """
    items = lengths(options["seconds"], longest_last=options["longest_last"])
    if name == IDEAL:
        return {"seconds_to_last": _ideal(items)}
    os.environ["BENCH_WORK"] = "uneven"
    who = contestant(name)
    warm_up = [] if isinstance(who, Ours) else [MEDIAN_MS] * WORKERS
    done = sum(who.counts(compute, iter([*warm_up, *items]), folder))
    ended = time.time()
    who.close()
    if done != (total := len(warm_up) + len(items)):
        raise RuntimeError(f"{done} of {total} items came back")
    return {"seconds_to_last": ended - who.began}


def _ideal(items: Sequence[float]) -> float:
    """Return how long bare processes take of which each gets as much work in advance."""
    shares: list[list[float]] = [[] for _ in range(WORKERS)]
    for length in sorted(items, reverse=True):
        min(shares, key=sum).append(length)
    barrier = CONTEXT.Barrier(WORKERS + 1)
    processes = [CONTEXT.Process(target=_alone, args=(share, barrier)) for share in shares]
    for process in processes:
        process.start()
    barrier.wait(START_SECONDS)
    began = time.perf_counter()
    for process in processes:
        process.join()
    return time.perf_counter() - began


def _alone(share: Sequence[float], barrier: Barrier) -> None:
    barrier.wait(START_SECONDS)
    for length in share:
        compute(length)
