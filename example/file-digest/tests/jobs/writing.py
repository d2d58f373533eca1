"""Items that log at full speed until they are told to stop.

Each call of work() is a writer of its own; its note holds its last number and longest call.
"""

import logging
import mmap
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

log = logging.getLogger(__name__)


def items(inputs: Sequence[str]) -> Iterator[tuple[str, tuple[str, float]]]:
    return ((f"item-{n}", (inputs[0], float(inputs[2]))) for n in range(int(inputs[1])))


def work(payload: tuple[str, float]) -> int:
    folder, pause = payload
    writer = f"{os.getpid()}.{time.monotonic_ns()}"
    path = Path(folder, writer)
    path.write_bytes(bytes(16))
    with path.open("r+b") as file:
        note = mmap.mmap(file.fileno(), 16)
    stop, number, longest = Path(folder, "stop"), 0, 0
    while number % 32 or not stop.exists():
        number += 1
        filler = "x" * (10_000 if number % 300 == 0 else number % 50)
        if pause:
            time.sleep(pause)
        began = time.perf_counter_ns()
        log.info("writer %s record %d %s.", writer, number, filler)
        longest = max(longest, time.perf_counter_ns() - began)
        note[:] = number.to_bytes(8, "little") + longest.to_bytes(8, "little")
    return number
