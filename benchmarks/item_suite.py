"""Two workers do items that are all alike: tiny ones, such that compute, such of megabytes."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .harness import Figures
from .item_contestants import CONTESTANTS, contestant
from .item_peer import WORKERS, Peer
from .machine import memory_mb
from .ours import Ours
from .payloads import ARRAY_MB, EVEN, WORK, payloads

FEWEST = 4 * WORKERS
PER_SECOND = {kind: 1_000 / milliseconds * WORKERS for kind, milliseconds in EVEN.items()}
PER_SECOND |= {"1 MB": 200, "1 MB of bytes": 200, "arrays": 10}
"""About as many items as two workers do; of those that compute, exactly as many as they can."""
RECYCLING = ", recycling workers"


def contestants() -> Sequence[str]:
    """Return their names."""
    return list(CONTESTANTS)


@dataclass(slots=True)
class Marks:
    """Notes taken during a bout; times by ``perf_counter``."""

    began: float
    first: float = 0.0
    """Time of the first result."""
    warm_at: float = 0.0
    """Time at which all workers were up."""
    warm: int = 0
    """Number of results by then."""
    last: float = 0.0
    early_mb: float = 0.0
    """Main's memory after half of the items; 0 where results do not come step by step."""


def measure(name: str, options: dict[str, Any], folder: Path) -> Figures:
    """Measure one contestant.

    ``options`` are kind, seconds or items, whether memory counts, and how often to recycle.
    """
    kind, who = options["kind"], contestant(name.removesuffix(RECYCLING))
    total = options.get("items") or _items(name, kind, options["seconds"])
    os.environ["BENCH_WORK"] = kind
    if name.endswith(RECYCLING) and isinstance(who, Ours):
        who.settings["recycle_after"] = total // (options["replacements"] + WORKERS)
    memory, marks = memory_mb(os.getpid()), Marks(time.perf_counter())
    _follow(who, who.counts(WORK[kind], payloads(kind, total), folder), total, marks)
    who.close()
    figures = {"start_s": marks.first - marks.began, "stop_s": time.perf_counter() - marks.last}
    if options.get("replacements") and isinstance(who, Ours):
        figures["replaced"] = len(who.seen) - WORKERS
    if options.get("memory"):
        peak = memory_mb(os.getpid(), peak=True)
        figures["memory_mb"] = peak - memory
        if marks.early_mb:
            figures["late_mb"] = peak - marks.early_mb
    return figures | _speed(kind, (total - marks.warm) / (marks.last - marks.warm_at))


def _items(name: str, kind: str, seconds: float) -> int:
    """Return how many items take about so long, an even number of them."""
    rate = PER_SECOND.get(kind) or CONTESTANTS[name][1]
    return max(FEWEST, int(rate * seconds) // WORKERS * WORKERS)


def _follow(who: Peer, steps: Iterator[int], total: int, marks: Marks) -> None:
    """Take the results in.

    Raises:
        RuntimeError: Not every item came back once.
    """
    marks.warm = done = next(steps)
    marks.first = marks.warm_at = time.perf_counter()
    while done < total // 2 and not who.warm:
        marks.warm = done = done + next(steps)
        marks.warm_at = time.perf_counter()
    while done < total:
        done += next(steps)
        if not marks.early_mb and total // 2 <= done < total:
            marks.early_mb = memory_mb(os.getpid(), peak=True)
    marks.last = time.perf_counter()
    if done != total:
        raise RuntimeError(f"{done} of {total} items came back")


def _speed(kind: str, rate: float) -> Figures:
    if kind in EVEN:
        return {"items_per_second": rate, "efficiency": rate / PER_SECOND[kind]}
    if kind == "arrays":
        return {"mb_sent_per_second": ARRAY_MB * rate}
    return {"mb_per_second": 2 * rate} if kind.startswith("1 MB") else {"items_per_second": rate}
