"""The job of the benchmarks' service: it takes the place of the generated ``job.py``."""

import os
from collections.abc import Iterator, Sequence

from benchmarks.payloads import WORK_IN_JSON

work = WORK_IN_JSON[os.environ.get("BENCH_WORK", "tiny")]


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield as many numbers as the input says."""
    return ((str(number), number) for number in range(int(inputs[0])))
