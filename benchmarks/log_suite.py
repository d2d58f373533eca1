"""Worker processes log as fast as they can for some time; what reached the file, and at what cost.

All contestants fork: that suits the peers best, some of them cannot do otherwise.
"""

import multiprocessing
import os
import time
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import quantiles
from typing import Any

from .harness import Figures
from .log_contestants import CONTESTANTS, LogContestant
from .machine import cpu_seconds, memory_mb

CONTEXT = multiprocessing.get_context("fork")
MARK = b"record number "
START_SECONDS = 30.0
LOOK_SECONDS = 0.005
FEWEST = 10
"""Calls, even where the time is up before."""


@dataclass(frozen=True, slots=True)
class Report:
    """The measurements of one worker process."""

    began: float
    """Seconds since the epoch."""
    cpu: float
    """Processor seconds, of all its threads."""
    calls: Path
    """File of how long each log call took: nanoseconds, an array of C long longs."""


def contestants() -> Sequence[str]:
    """Return their names."""
    return list(CONTESTANTS)


def measure(name: str, options: dict[str, Any], folder: Path) -> Figures:
    """Measure one contestant; ``options`` are workers, seconds and layout.

    Raises:
        RuntimeError: Not every record is in the file.
    """
    contestant = CONTESTANTS[name](folder, options["layout"])
    contestant.start()
    watch = Watch(contestant.listener_pid)
    reports = _race(contestant, watch, options["workers"], options["seconds"])
    watch.stop(contestant)
    calls = array("q")
    for report in reports:
        calls.frombytes(report.calls.read_bytes())
    _check(contestant.path, len(calls))
    return _figures(reports, calls, contestant.path, watch)


class Watch:
    """Measures the processor time and memory of the receiving process, from now to its end."""

    def __init__(self, pid: int | None) -> None:
        """Watch a process; without one all figures are 0."""
        self.pid, self.cpu, self.peak = pid, 0.0, 0.0
        self.cpu_before = cpu_seconds(pid) if pid else 0.0
        self.memory_before = 0.0

    def halfway(self) -> None:
        """Take the memory that is to stay the same from now on."""
        if self.pid:
            self.memory_before = memory_mb(self.pid, peak=True)

    def stop(self, contestant: LogContestant) -> None:
        """Stop the contestant, and measure the process until it is gone."""
        with ThreadPoolExecutor(1) as other:
            stopping = other.submit(contestant.stop)
            self.look()
            while not wait([stopping], LOOK_SECONDS).done:
                self.look()
        stopping.result()
        self.look()

    def look(self) -> None:
        """Take its figures, if it is still there."""
        if self.pid:
            with suppress(OSError):
                self.cpu = cpu_seconds(self.pid) - self.cpu_before
                self.peak = max(self.peak, memory_mb(self.pid, peak=True))


def _figures(reports: list[Report], calls: "array[int]", path: Path, watch: Watch) -> Figures:
    # The file's own time of change is when its last line got there; it is 4 ms exact.
    seconds = path.stat().st_mtime - min(report.began for report in reports)
    percentiles = quantiles(calls, n=100)
    cpu = sum(report.cpu for report in reports) + watch.cpu
    figures = {
        "records_per_second": len(calls) / max(seconds, 0.001),
        "p50_us": percentiles[49] / 1000,
        "p99_us": percentiles[98] / 1000,
        "cpu_us": cpu / len(calls) * 1e6,
    }
    if watch.pid:
        figures |= {
            "listener_share": watch.cpu / cpu,
            "listener_mb": watch.peak - watch.memory_before,
        }
    return figures


def _race(contestant: LogContestant, watch: Watch, workers: int, seconds: float) -> list[Report]:
    barrier = CONTEXT.Barrier(workers)
    ends, processes = [], []
    for number in range(workers):
        ours, theirs = CONTEXT.Pipe(duplex=False)
        process = CONTEXT.Process(
            target=_work, args=(contestant, barrier, seconds, theirs), name=f"worker-{number + 1}"
        )
        process.start()
        theirs.close()
        ends.append(ours)
        processes.append(process)
    wait_for(ends, seconds / 2)
    watch.halfway()
    reports = [end.recv() for end in ends]
    for process in processes:
        process.join()
    return reports


def _work(contestant: LogContestant, barrier: Barrier, seconds: float, end: Connection) -> None:
    log, message = contestant.configure()
    stamps, now = array("q"), time.perf_counter_ns
    note = stamps.append
    barrier.wait(START_SECONDS)
    cpu, began, last = time.process_time(), time.time(), now()
    note(last)
    deadline = last + int(seconds * 1e9)
    while last < deadline or len(stamps) < FEWEST:
        log(message, len(stamps))
        last = now()
        note(last)
    contestant.flush()
    cpu = time.process_time() - cpu
    calls = array("q", (end - begin for begin, end in pairwise(stamps)))
    path = contestant.path.with_name(f"calls-{os.getpid()}")
    path.write_bytes(calls)
    end.send(Report(began, cpu, path))


def _check(path: Path, logged: int) -> None:
    found = path.read_bytes().count(MARK)
    if found != logged:
        raise RuntimeError(f"{found} of {logged} records are in the file")
