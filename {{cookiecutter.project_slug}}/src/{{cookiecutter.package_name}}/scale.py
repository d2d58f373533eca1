"""Is this job held by the GIL, and how many workers are best? Measured on the job itself.

    items ─▶ one worker process, for some seconds ─▶ a sample
    sample ─▶ 1, 2, 4 … threads of one process        Backlog and Bench, as in every worker
           └▶ 1, 2, 4 … workers                       workers.run, as in every run

Threads get a process of their own, so that whatever the job does to it, main can tell.
"""

import math
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe, connection
from multiprocessing.connection import Connection
from typing import Any

from . import workers
from .batches import Backlog, Batch
from .configurer import LogSetup, configure_worker
from .main import check_files, listening, open_items
from .messages import DONE, FAILED, Outcome, Pair, Task
from .processes import Bond, Lifeline, context_for, follow_main, how_it_ended, kill, start_process
from .settings import Settings, usable_cores
from .signals import Stop
from .source import Source
from .worker import IDLE, Bench, cpu_seconds

THREADS, PROCESSES = "threads", "processes"
MOST_ITEMS = 100_000
ENOUGH = 0.9
"""Of the best rate: fewer workers that reach this are the better choice."""
GAIN = 1.2
"""A speed-up below this is none."""


class ScaleError(Exception):
    """Nothing can be measured; the message is one line that says why."""


class StoppedError(Exception):
    """A signal came."""

    def __init__(self, number: int) -> None:
        """Note which one."""
        super().__init__(f"stopped by signal {number}")
        self.number = number


@dataclass(frozen=True, slots=True)
class Measured:
    """How fast so many threads or workers did the sample."""

    kind: str
    workers: int
    items: int
    failed: int
    seconds: float
    """From the begin of the first item to the end of the last; their start is not in it."""
    cpu: float
    """Processor time of all of them."""

    @property
    def rate(self) -> float:
        """Items a second."""
        return self.items / self.seconds

    def row(self, base: float) -> str:
        """Return a line of the table, given the rate of one thread."""
        speed_up = self.rate / base
        return (
            f"{self.kind:<10} {self.workers:>7} {self.rate:>10.1f} {speed_up:>9.2f} "
            f"{speed_up / self.workers:>10.0%} {self.cpu:>8.2f}"
            f"{f'  {self.failed} failed' if self.failed else ''}"
        )


def heading(first: Measured) -> str:
    """Return the table's head and its first row."""
    return (
        f"a sample of {first.items} items, {usable_cores()} cores, "
        f"Python {platform.python_version()} {'with' if has_gil() else 'without'} the GIL\n"
        f"{'':<10} {'workers':>7} {'items/s':>10} {'speed-up':>9} {'efficiency':>10} {'CPU s':>8}\n"
        f"{first.row(first.rate)}"
    )


def has_gil() -> bool:
    """Whether this interpreter has the global interpreter lock, and it is on."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def steps(most: int) -> list[int]:
    """Return 1, 2, 4 … up to ``most``."""
    return [*(2**power for power in range(most.bit_length()) if 2**power < most), most]


def measure(settings: Settings, inputs: Sequence[str], seconds: float) -> Generator[Measured]:
    """Measure a sample of the items with ever more threads, then with ever more processes.

    Args:
        settings: As for a run; its ``workers`` is the most that are tried.
        inputs: What ``job.items`` shall read; as far as one worker comes in ``seconds``.
        seconds: How long one worker shall take for the sample. A small one is done repeatedly.

    Raises:
        ScaleError: There are no items, or all fail, or the job ends the process.
        StoppedError: A signal came.
        RefusedError, WorkersCannotStartError: As in a run.
    """
    items, stop = open_items(settings, inputs), Stop(grace=0.0)
    check_files(settings)
    with stop.listening(), listening(settings, stop) as listener:
        sample = _sample(items, settings, seconds, listener.setup, stop)
        yield from _measure(sample, settings, listener.setup, stop)


def _measure(
    sample: list[Pair], settings: Settings, logs: LogSetup, stop: Stop
) -> Iterator[Measured]:
    for count in steps(settings.workers):
        yield _by_threads(sample, count, settings, logs, stop)
    for count in steps(settings.workers):
        outcomes, cpu = _run(sample, replace(settings, workers=count), logs, stop)
        yield _measured(PROCESSES, count, outcomes, cpu)


def advice(measured: list[Measured], *, gil: bool) -> str:
    """Say in one sentence what the figures mean."""
    base = measured[0].rate
    threads = max(one.rate for one in measured if one.kind == THREADS) / base
    by_processes = [one for one in measured if one.kind == PROCESSES]
    most = max(one.rate for one in by_processes)
    best = next(one for one in by_processes if one.rate >= ENOUGH * most)
    processes, use = best.rate / base, f"use --workers {best.workers}"
    if threads < GAIN and (processes < GAIN or best.workers == 1):
        return (
            "Neither threads nor processes help: all share what is short (processors, memory, a "
            f"disk, a network); {use}."
        )
    if threads < GAIN:
        lock = "The GIL holds this job" if gil else "Something that threads share holds this job"
        return f"{lock}: threads gain nothing, processes {processes:.1f} x; {use}."
    if threads >= ENOUGH * processes:
        why = "it waits, or computes in C" if gil else "there is none here"
        return f"The GIL does not hold this job ({why}): threads gain {threads:.1f} x; {use}."
    return f"Threads gain {threads:.1f} x, processes {processes:.1f} x; {use}."


def is_busy() -> bool:
    """Whether other programs keep the processors busy, so that figures mean little."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > usable_cores()


def _sample(
    items: Iterable[Pair], settings: Settings, seconds: float, logs: LogSetup, stop: Stop
) -> list[Pair]:
    """Return the items that one worker does in some seconds, repeated if there are only few."""
    read: dict[str, Pair] = {}

    def noted() -> Iterator[Pair]:
        for pair in items:
            read[pair[0]] = pair
            yield pair

    outcomes, _ = _run(noted(), replace(settings, workers=1), logs, stop, seconds)
    sample = [read[outcome.key] for outcome in outcomes if outcome.status == DONE]
    if not sample:
        why = (outcomes[-1].error or "").rpartition("\n")[2] if outcomes else "there are no items"
        raise ScaleError(f"nothing to measure: {why}")
    took = sum(outcome.seconds for outcome in outcomes if outcome.status == DONE)
    times = min(math.ceil(seconds / max(took, 1e-6)), MOST_ITEMS // len(sample))
    return sample * max(1, times if took < seconds / 2 else 1)


def _run(
    items: Iterable[Pair],
    settings: Settings,
    logs: LogSetup,
    stop: Stop,
    seconds: float = math.inf,
) -> tuple[list[Outcome], float]:
    """Have workers do items for some seconds; return the outcomes and the processor time."""
    source = Source(items, stop.wake)
    backlog = Backlog(source, list, max_attempts=1)
    outcomes: list[Outcome] = []
    deadline = math.inf
    source.start()
    with closing(workers.run(backlog, settings, logs, stop)) as news:
        for some in news:
            if some and not outcomes:
                deadline = time.monotonic() + seconds
            outcomes += some
            if time.monotonic() >= deadline and not backlog.stopped:
                backlog.stop()
    if stop.requested:
        raise StoppedError(stop.signals[0])
    if source.error:
        raise ScaleError(f"items() raised {type(source.error).__name__}: {source.error}")
    return outcomes, backlog.cpu_seconds


def _by_threads(
    sample: list[Pair], count: int, settings: Settings, logs: LogSetup, stop: Stop
) -> Measured:
    """Have a new process do the sample in threads; return what it measured."""
    receiving, sending = Pipe(duplex=False)
    lifeline = Lifeline(settings.start_method)
    args = (sending, lifeline.bond(receiving), logs, sample, count)
    process = start_process(context_for(settings.start_method), _thread_main, args, THREADS)
    sending.close()
    try:
        while receiving not in connection.wait([receiving, stop.waker]):
            stop.clear_waker()
            if stop.requested:
                raise StoppedError(stop.signals[0])
        with suppress(EOFError):
            outcomes, cpu = receiving.recv()
            return _measured(THREADS, count, outcomes, cpu)
        process.join(1.0)
        ended = how_it_ended(process.exitcode)
        raise ScaleError(f"the process that tried {count} threads died: {ended}")
    finally:
        kill(process)
        process.join(1.0)
        receiving.close()
        lifeline.close()


def _thread_main(
    sending: Connection, bond: Bond, logs: LogSetup, sample: list[Pair], count: int
) -> None:
    """Be the process whose threads do the sample."""
    follow_main(bond)
    configure_worker(logs)
    from . import job  # noqa: PLC0415 - as in a worker

    crew, began = ThreadCrew(job.work, sample), cpu_seconds()
    outcomes = crew.run(count)
    sending.send((outcomes, cpu_seconds() - began))


class ThreadCrew:
    """Threads that do batches of a backlog as workers do, in one process."""

    def __init__(self, work: Callable[[Any], Any], items: Iterable[Pair]) -> None:
        """Prepare; ``run`` does the items."""
        self.work = work
        self.news = threading.Condition()
        self.source = Source(items, self._wake)
        self.backlog = Backlog(self.source, list, max_attempts=1)
        self.outcomes: list[Outcome] = []

    def run(self, count: int) -> list[Outcome]:
        """Do all items in ``count`` threads."""
        self.source.start()
        threads = [threading.Thread(target=self._serve) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.outcomes

    def _serve(self) -> None:
        bench = Bench(self.work, [IDLE], 0)
        while work := self._take():
            batch, task = work
            bench.unpack(task)
            bench.do()
            if report := bench.report():
                with self.news:
                    self.outcomes += self.backlog.completed(batch, report, THREADS)

    def _take(self) -> tuple[Batch, Task] | None:
        with self.news:
            while not (work := self.backlog.next_batch()) and not self.backlog.exhausted:
                self.news.wait(1.0)
            return work

    def _wake(self) -> None:
        with self.news:
            self.news.notify_all()


def _measured(kind: str, count: int, outcomes: list[Outcome], cpu: float) -> Measured:
    begin = min(outcome.started for outcome in outcomes)
    end = max(outcome.started + outcome.seconds for outcome in outcomes)
    failed = sum(outcome.status == FAILED for outcome in outcomes)
    return Measured(kind, count, len(outcomes), failed, max(end - begin, 1e-9), cpu)
