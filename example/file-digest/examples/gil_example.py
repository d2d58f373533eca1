"""The global interpreter lock: threads take turns, processes do not.

When to use which: threads for waiting (files, network) and for C code that lets go of the lock, as
hashlib does; processes for Python code that computes. ``scale`` measures it for the service's job.

What neither survives: threads share one process, so one crash ends them all. A process costs memory
and a start-up time, and everything that it is given or gives back is pickled.
"""

import hashlib
import logging
import sys
import time
from collections.abc import Callable
from multiprocessing import Barrier, Pool
from multiprocessing.pool import Pool as AnyPool
from multiprocessing.pool import ThreadPool
from multiprocessing.synchronize import Barrier as BarrierType

from one_log import LogSetup, configure_worker, one_log

log = logging.getLogger(__name__)

WORKERS = 2
STEPS = 1_500_000
DATA = bytes(50_000_000)


def count(steps: int) -> int:
    """Compute in Python: the lock is held throughout."""
    total = 0
    for number in range(steps):
        total += number & 1
    log.info("counted to %d", steps)
    return total


def digest(_: int) -> str:
    """Compute in C: hashlib lets go of the lock."""
    log.info("digesting %d bytes", len(DATA))
    return hashlib.sha256(DATA).hexdigest()


def be_ready(logs: LogSetup, everybody: BarrierType) -> None:
    """Wait until all workers are up, so that their start is not measured."""
    configure_worker(logs)
    everybody.wait(30)


def seconds(pool: AnyPool | None, work: Callable[[int], object], size: int) -> float:
    """Measure two calls, one after the other or both at once."""
    began = time.perf_counter()
    if pool:
        pool.map(work, [size] * WORKERS, chunksize=1)
    else:
        for _ in range(WORKERS):
            work(size)
    return time.perf_counter() - began


def main() -> None:
    """Do the same work in turn, in threads and in processes."""
    with one_log(__doc__) as logs:
        everybody = Barrier(WORKERS + 1)
        with (
            ThreadPool(WORKERS) as threads,
            Pool(WORKERS, be_ready, (logs, everybody)) as processes,
        ):
            everybody.wait(30)
            locked = getattr(sys, "_is_gil_enabled", lambda: True)()
            print(f"the lock is {'on' if locked else 'off'}; speed-up of {WORKERS} against one:")
            for name, work, size in (("Python code", count, STEPS), ("C code", digest, 0)):
                alone = seconds(None, work, size)
                by_threads = alone / seconds(threads, work, size)
                by_processes = alone / seconds(processes, work, size)
                print(f"{name}: threads {by_threads:.1f}, processes {by_processes:.1f}")


if __name__ == "__main__":
    main()
