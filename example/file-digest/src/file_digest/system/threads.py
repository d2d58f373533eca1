"""Limit the threads that numeric libraries start in each worker.

Each library reads its variable once, when it is imported, and otherwise starts a thread for every
core: with as many workers as cores they compete for the processors. Workers inherit main's
environment under every start method, if it is set before the forkserver starts and the job is
imported. Dask's nannies keep a variable that is set: ``distributed.nanny.pre-spawn-environ``.
"""

import os

from ..settings import Settings, usable_cores

VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",  # Apple's Accelerate
    "NUMEXPR_NUM_THREADS",
)
GIVEN = frozenset(name for name in VARIABLES if name in os.environ)
"""Variables that were set when main started: they keep their values."""


def limit_threads(count: int | None) -> None:
    """Limit workers that are started from now on to ``count`` threads; None changes nothing."""
    if count:
        os.environ.update({name: str(count) for name in VARIABLES if name not in GIVEN})


def threads_for(settings: Settings) -> int | None:
    """Return the limit of threads in each worker of a run; None if there is none."""
    if settings.threads_per_worker == "auto":
        return max(1, usable_cores() // max(1, settings.workers))
    return settings.threads_per_worker


def combinations(cores: int, workers: list[int]) -> list[tuple[int, int]]:
    """Return pairs of workers and threads of each to try: one of one, and those that use all cores.

    Args:
        cores: As many threads as there may be in all.
        workers: Numbers of workers to try; those that are more than the cores are left out.
    """
    full = [(count, cores // count) for count in workers if count <= cores]
    return full if (1, 1) in full else [(1, 1), *full]
