"""Two workers do items: tiny ones, such of a millisecond, such of a megabyte both ways."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .harness import Figures
from .item_contestants import CONTESTANTS, WORKERS, Peer
from .machine import memory_mb
from .payloads import WORK, payloads

FEWEST = 4 * WORKERS
PER_SECOND = {"1 ms": 1_000 * WORKERS, "1 MB": 200}


def contestants() -> Sequence[str]:
    """Return their names."""
    return list(CONTESTANTS)


@dataclass(slots=True)
class Marks:
    """What is noted on the way; times by ``perf_counter``."""

    began: float
    first: float = 0.0
    """When the first result came."""
    warm_at: float = 0.0
    """When all workers were up."""
    warm: int = 0
    """How many results had come by then."""
    last: float = 0.0
    early_mb: float = 0.0
    """Main's memory after half of the items; 0 where results do not come step by step."""


def measure(name: str, options: dict[str, Any], folder: Path) -> Figures:
    """Measure one contestant; ``options`` are kind, seconds or items, and whether memory counts."""
    kind = options["kind"]
    opener, tiny = CONTESTANTS[name]
    total = options.get("items") or int(PER_SECOND.get(kind, tiny) * options["seconds"])
    total = max(total, FEWEST)
    os.environ["BENCH_WORK"] = kind
    contestant, memory = opener(), memory_mb(os.getpid())
    marks = Marks(time.perf_counter())
    _follow(contestant, contestant.counts(WORK[kind], payloads(kind, total), folder), total, marks)
    contestant.close()
    figures = {"start_s": marks.first - marks.began, "stop_s": time.perf_counter() - marks.last}
    if options.get("memory"):
        peak = memory_mb(os.getpid(), peak=True)
        figures["memory_mb"] = peak - memory
        if marks.early_mb:
            figures["late_mb"] = peak - marks.early_mb
    return figures | _speed(kind, (total - marks.warm) / (marks.last - marks.warm_at))


def _follow(contestant: Peer, steps: Iterator[int], total: int, marks: Marks) -> None:
    """Take the results in.

    Raises:
        RuntimeError: Not every item came back once.
    """
    marks.warm = done = next(steps)
    marks.first = marks.warm_at = time.perf_counter()
    while done < total // 2 and not contestant.warm:
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
    match kind:
        case "1 ms":
            return {"items_per_second": rate, "efficiency": rate / PER_SECOND[kind]}
        case "1 MB":
            return {"mb_per_second": 2 * rate}
        case _:
            return {"items_per_second": rate}
