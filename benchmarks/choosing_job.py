"""A job whose items take as long as the command says: COUNT and MILLISECONDS."""

import os
from collections.abc import Iterator, Sequence

LOOPS = int(os.environ.get("BENCH_LOOPS", "1"))
"""Of a millisecond; a fixed number of steps, so that a busy machine shows."""


def items(inputs: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Yield as many items as the first input says, each as long as the second says."""
    count, milliseconds = int(inputs[0]), float(inputs[1])
    return ((str(number), milliseconds) for number in range(count))


def work(milliseconds: float) -> float:
    """Compute for some milliseconds; 0 is to do nothing."""
    for _ in range(int(LOOPS * milliseconds)):
        pass
    return milliseconds
