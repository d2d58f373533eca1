"""Measure on the job itself whether the GIL limits it, and how many workers are best.

    items ─▶ one worker, for some seconds ─▶ a sample
    the sample, over and over, for some seconds each
      ─▶ 1, 2, 4 … threads of one process        Backlog and TaskRunner, as in every worker
      ─▶ 1, 2, 4 … workers                       Service.outcomes, as in every run
      ─▶ workers x threads of NumPy each         the same, where the job imports NumPy

Threads get a process of their own, so that whatever the job does to it, main can tell.
"""

import math
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from itertools import cycle
from multiprocessing import Pipe, connection
from multiprocessing.connection import Connection
from types import ModuleType

from ..configurer import LogSetup, configure_worker
from ..items.backlog import Backlog
from ..items.batch import Batch
from ..items.messages import DONE, FAILED, IDLE, Item, Outcome, StoppedError, Task
from ..items.payloads import frozen
from ..items.refusals import items_error
from ..items.source import Source
from ..items.task_runner import TaskRunner, cpu_seconds
from ..items.worker_job import WorkerJob
from ..main import Service, running
from ..settings import Settings, usable_cores
from ..system.errors import ScaleError, error_name
from ..system.lifeline import Lifeline, follow_main
from ..system.processes import context_for, exitcode_of, how_it_ended, kill, start_process
from ..system.threads import combinations, limit_threads
from .report import LIMITED, PROCESSES, THREADS, Measured

START_SECONDS = 10.0
"""Longest time to wait for the last worker's first item, once the first worker has done one."""


def steps(most: int) -> list[int]:
    """Return 1, 2, 4 … up to ``most``."""
    return [*(2**power for power in range(most.bit_length()) if 2**power < most), most]


def measure(settings: Settings, inputs: Sequence[str], seconds: float) -> Generator[Measured]:
    """Measure a sample of the items with ever more threads, then with ever more processes.

    Where the job imports NumPy, processes are measured with a limit of NumPy's own threads as well.

    Args:
        settings: As for a run; its ``workers`` is the most that are tried.
        inputs: Arguments of ``job.items``; read as far as one worker gets in ``seconds``.
        seconds: Duration of each measurement.

    Raises:
        ScaleError: There are no items, or all fail, or the job ends the process.
        StoppedError: A signal came.
        RefusedError, ItemsError, WorkersCannotStartError: As in a run.
    """
    with running(settings, inputs, nullcontext) as (service, _):
        trial = Trial(service, seconds)
        sample = trial.sample()
        for count in steps(settings.workers):
            yield trial.threads(sample, count)
        for count in steps(settings.workers):
            yield trial.processes(sample, count)
        if trial.has_numpy:
            cores = usable_cores()
            for count, threads in combinations(cores, steps(min(settings.workers, cores))):
                yield trial.limited(sample, count, threads)


class Deadline:
    """Some seconds after the last of the workers has done an item."""

    def __init__(self, count: int, seconds: float) -> None:
        """Wait for ``count`` workers, but not for ever."""
        self.count, self.seconds = count, seconds
        self.workers: set[str] = set()
        self.latest = self.end = math.inf

    def note(self, outcomes: Iterable[Outcome]) -> None:
        """Note the workers of some outcomes, and the time."""
        now = time.monotonic()
        self.workers.update(outcome.worker for outcome in outcomes)
        if self.workers and self.latest == math.inf:
            self.latest = now + START_SECONDS
        if self.end == math.inf and (len(self.workers) >= self.count or now > self.latest):
            self.end = now + self.seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.end


class Trial:
    """Does a sample by threads or processes, for some seconds each."""

    def __init__(self, service: Service, seconds: float) -> None:
        """Start nothing yet."""
        self.service, self.stop, self.seconds = service, service.stop, seconds
        self.has_numpy = False
        """Whether the job imports NumPy, as ``threads`` sees."""

    def sample(self) -> list[Item]:
        """Return the items that one worker does in the time."""
        read: dict[str, Item] = {}

        def noted(pairs: list[Item]) -> list[Item]:
            read.update((pair[0], pair) for pair in pairs)
            return pairs

        outcomes, _ = self._run(self.service.source, 1, noted)
        if sample := [read[outcome.key] for outcome in outcomes if outcome.status == DONE]:
            return sample
        why = error_name(outcomes[-1].error or "") if outcomes else "there are no items"
        raise ScaleError(f"nothing to measure: {why}")

    def processes(self, sample: list[Item], count: int) -> Measured:
        """Measure ``count`` workers, started as in a run."""
        source = Source(lambda: cycle(sample), self.stop.wake)
        source.start()
        outcomes, cpu = self._run(source, count, list)
        return _measured(PROCESSES, count, len(sample), outcomes, cpu)

    def limited(self, sample: list[Item], count: int, threads: int) -> Measured:
        """Measure ``count`` workers, each with ``threads`` threads of NumPy.

        They are spawned: only then do they begin with main's environment as it is now.
        """
        limit_threads(threads)
        settings = replace(self.service.settings, start_method="spawn")
        spawning = Trial(replace(self.service, settings=settings), self.seconds)
        return replace(spawning.processes(sample, count), kind=LIMITED, threads=threads)

    def threads(self, sample: list[Item], count: int) -> Measured:
        """Measure ``count`` threads, in a new process."""
        setup, method = self.service.listener.setup, self.service.settings.start_method
        receiving, sending = Pipe(duplex=False)
        lifeline = Lifeline()
        args = (sending, lifeline.end, setup, sample, Deadline(count, self.seconds))
        process = start_process(context_for(method), _thread_main, args, THREADS)
        sending.close()
        try:
            while receiving not in connection.wait([receiving, self.stop.waker]):
                self.stop.clear_waker()
                self._check_stop()
            with suppress(EOFError):
                outcomes, cpu, self.has_numpy = receiving.recv()
                return _measured(THREADS, count, len(sample), outcomes, cpu)
            process.join(1.0)
            ended = how_it_ended(exitcode_of(process))
            raise ScaleError(f"the process that tried {count} threads died: {ended}")
        finally:
            kill(process)
            process.join(1.0)
            receiving.close()
            lifeline.close()

    def _run(
        self, source: Source, count: int, chosen: Callable[[list[Item]], list[Item]]
    ) -> tuple[list[Outcome], float]:
        """Do items by workers in the time; return the outcomes and the processor time."""
        backlog, deadline = Backlog(source, chosen, max_attempts=1), Deadline(count, self.seconds)
        outcomes: list[Outcome] = []
        with closing(self.service.outcomes(backlog, count)) as completed:
            for some in completed:
                outcomes += some
                deadline.note(some)
                if deadline.is_over and not backlog.stopped:
                    backlog.stop()
        self._check_stop()
        if source.error:
            raise items_error(source.error, refused=source.refused)
        return outcomes, backlog.cpu_seconds

    def _check_stop(self) -> None:
        if self.stop.requested:
            raise StoppedError(self.stop.signals[0])


def _thread_main(
    sending: Connection,
    lifeline: Connection,
    logs: LogSetup,
    sample: list[Item],
    deadline: Deadline,
) -> None:
    """Do the sample by the threads of this process."""
    follow_main(lifeline)
    configure_worker(logs)
    from .. import job  # noqa: PLC0415 - as in a worker

    began = cpu_seconds()
    outcomes = ThreadPool(job, sample, deadline).run()
    sending.send((outcomes, cpu_seconds() - began, "numpy" in sys.modules))


class ThreadPool:
    """Threads that do batches of a backlog as workers do, in one process."""

    def __init__(self, job: ModuleType, sample: list[Item], deadline: Deadline) -> None:
        """Prepare; ``run`` does the items."""
        self.job, self.deadline = job, deadline
        self.changed = threading.Condition()
        fixed = [frozen(pair) for pair in sample]  # once, or each round would pay for it
        self.source = Source(lambda: cycle(fixed), self._wake)
        self.backlog = Backlog(self.source, list, max_attempts=1)
        self.outcomes: list[Outcome] = []

    def run(self) -> list[Outcome]:
        """Do items until the time is over."""
        self.source.start()
        self.source.read()
        numbers = range(self.deadline.count)
        threads = [threading.Thread(target=self._live, args=(number,)) for number in numbers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return self.outcomes

    def _live(self, number: int) -> None:
        job = WorkerJob(self.job, number)
        self._serve(TaskRunner(job.work, [IDLE], 0), f"thread-{number}")
        job.end()

    def _serve(self, runner: TaskRunner, name: str) -> None:
        while work := self._take():
            batch, task = work
            runner.unpack(task)
            runner.run()
            if report := runner.report():
                with self.changed:
                    outcomes = self.backlog.completed(batch, report, name)
                    self.outcomes += outcomes
                    self.deadline.note(outcomes)
                    if self.deadline.is_over:
                        self.backlog.stop()

    def _take(self) -> tuple[Batch, Task] | None:
        with self.changed:
            while not (work := self.backlog.next_batch()) and not self.backlog.exhausted:
                self.changed.wait(1.0)
            return work

    def _wake(self) -> None:
        with self.changed:
            self.changed.notify_all()


def _measured(kind: str, count: int, size: int, outcomes: list[Outcome], cpu: float) -> Measured:
    """Compute the rate of the time in which all workers worked, without their start."""
    starts, ends = dict[str, float](), dict[str, float]()
    for one in outcomes:
        starts[one.worker] = min(one.started, starts.get(one.worker, math.inf))
        ends[one.worker] = max(one.started + one.seconds, ends.get(one.worker, 0.0))
    begin, end = max(starts.values()), min(ends.values())
    if begin >= end:  # some had nothing left to do before the others came
        begin, end = min(starts.values()), max(ends.values())
    done = 0.0
    for one in outcomes:
        inside = min(one.started + one.seconds, end) - max(one.started, begin)
        done += max(inside, 0.0) / max(one.seconds, 1e-9)
    failed = sum(outcome.status == FAILED for outcome in outcomes)
    rate = done / max(end - begin, 1e-9)
    return Measured(kind, count, size, failed, rate, cpu * 1000 / len(outcomes))
