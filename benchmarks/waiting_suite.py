"""Many workers wait, as for the network: the whole run, its start included, and what main takes."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

from .harness import Figures
from .item_contestants import contestant
from .payloads import WAIT_SECONDS, payloads, wait

PEERS = ("Pool.imap_unordered", "Pool.imap_unordered(10)", "ProcessPoolExecutor.map(10)")
"""An executor that sends items one by one takes twice as long as any of these."""


def contestants() -> Sequence[str]:
    """Return their names."""
    return ["ours, process", *PEERS]


def measure(name: str, options: dict[str, Any], folder: Path) -> Figures:
    """Measure one contestant; ``options`` are workers, how they are started, and items.

    Raises:
        RuntimeError: Not every item came back once.
    """
    os.environ["BENCH_WORK"] = "wait"
    who, total = contestant(name), options["items"]
    who.workers, who.start_method = options["workers"], options["start_method"]
    began, cpu = time.perf_counter(), _cpu_of_main()
    done = who.cold(wait, payloads("wait", total), folder)
    seconds, cpu = time.perf_counter() - began, _cpu_of_main() - cpu
    who.close()
    if done != total:
        raise RuntimeError(f"{done} of {total} items came back")
    return {
        "items_per_second": total / seconds,
        "seconds": seconds,
        "main_us": cpu / total * 1e6,
        "efficiency": total * WAIT_SECONDS / options["workers"] / seconds,
    }


def _cpu_of_main() -> float:
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
