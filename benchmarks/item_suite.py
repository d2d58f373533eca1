"""Two workers do items: tiny ones, such of a millisecond, such of a megabyte both ways."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .harness import Figures
from .item_contestants import CONTESTANTS, WORKERS
from .machine import memory_mb
from .payloads import WORK, payloads

FEWEST = 4 * WORKERS
PER_SECOND = {"1 ms": 1_000 * WORKERS, "1 MB": 200}


def contestants() -> Sequence[str]:
    """Return their names."""
    return list(CONTESTANTS)


def measure(name: str, options: dict[str, Any], folder: Path) -> Figures:
    """Measure one contestant; ``options`` are kind, seconds or items, and whether memory counts.

    Raises:
        RuntimeError: Not every item came back once.
    """
    kind = options["kind"]
    opener, tiny = CONTESTANTS[name]
    total = options.get("items") or int(PER_SECOND.get(kind, tiny) * options["seconds"])
    total = max(total, FEWEST)
    os.environ["BENCH_WORK"] = kind
    contestant, memory = opener(), memory_mb(os.getpid())
    began = time.perf_counter()
    steps = contestant.counts(WORK[kind], payloads(kind, total), folder)
    warm = done = next(steps)
    first = warm_at = time.perf_counter()
    while done < total // 2 and not contestant.warm:
        warm = done = done + next(steps)
        warm_at = time.perf_counter()
    while done < total:
        done += next(steps)
    last = time.perf_counter()
    contestant.close()
    figures = {"start_s": first - began, "stop_s": time.perf_counter() - last}
    if done != total:
        raise RuntimeError(f"{done} of {total} items came back")
    if options.get("memory"):
        figures["memory_mb"] = memory_mb(os.getpid(), peak=True) - memory
    return figures | _speed(kind, (total - warm) / (last - warm_at))


def _speed(kind: str, rate: float) -> Figures:
    match kind:
        case "1 ms":
            return {"items_per_second": rate, "efficiency": rate / PER_SECOND[kind]}
        case "1 MB":
            return {"mb_per_second": 2 * rate}
        case _:
            return {"items_per_second": rate}
