"""A job whose items take as long as the command says: COUNT and MILLISECONDS."""

import os
import time
from collections.abc import Iterator, Sequence

LOOPS = int(os.environ.get("BENCH_LOOPS", "1"))
"""Of a millisecond; a fixed number of steps, so that a busy machine shows."""
WAITS = bool(os.environ.get("BENCH_WAITS"))
"""Whether items wait, and leave the processor to others."""


def items(inputs: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield as many items as the first input says, each as long as the second says."""
    count, milliseconds = int(inputs[0]), float(inputs[1])
    return ((str(number), milliseconds) for number in range(count))


def work(milliseconds: float) -> float:
    """Compute, or wait, for some milliseconds; 0 is to do nothing."""
    if WAITS and milliseconds:
        time.sleep(milliseconds / 1000)
    else:
        for _ in range(int(LOOPS * milliseconds)):
            pass
    return milliseconds
