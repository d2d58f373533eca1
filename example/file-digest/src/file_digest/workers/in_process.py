"""Process all items in this process and thread, one after the other: for debuggers and profilers.

Promises that need a worker to kill do not hold here: an item that crashes ends the run, and only a
second Ctrl-C ends one that hangs.
"""

import logging
import os
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, current_process

from ..configurer import LogSetup
from ..items.backlog import Backlog
from ..items.batch import Batch
from ..items.batch_size import BatchSizer
from ..items.events import STARTED, WorkerNow
from ..items.messages import IDLE, Task
from ..items.outcomes import NO_OUTCOMES, Outcomes
from ..items.task_runner import TaskRunner
from ..items.worker_job import WorkerJob
from ..log.formats import show_items_of
from ..system.errors import WorkersCannotStartError, describe
from ..system.memory import used_by
from ..system.requests import requests
from ..system.signals import StopRequest

log = logging.getLogger(__name__)

TICK = 0.1


def run(backlog: Backlog, logs: LogSetup, stop: StopRequest) -> Generator[Outcomes]:
    """Do the items of a backlog; yield outcomes as they complete, at least once a ``TICK``.

    Without any it yields ``NO_OUTCOMES``, so that main can do its other work. Once a stop is
    requested, the current item is the last.

    Raises:
        WorkersCannotStartError: The job cannot be set up.
    """
    from .. import job as owners  # noqa: PLC0415 - by now it can be imported

    backlog.named, backlog.sizer = logs.shows_items, BatchSizer(0.0)
    try:
        with _second_signal_interrupts(stop):
            job = WorkerJob(owners, 0)
    except BaseException as error:
        if stop.urgent:
            return
        raise WorkersCannotStartError(describe(error)) from error
    runner = TaskRunner(job.work, [IDLE], 0)
    runner.retry = job.retry
    show_items_of(runner)
    name, pid = current_process().name, os.getpid()
    backlog.events.note(STARTED, name, pid=pid)
    backlog.workers_now = lambda: [WorkerNow(name, pid, None, None, used_by(pid))]
    try:
        yield from _each_item(backlog, runner, stop)
    finally:
        with suppress(KeyboardInterrupt), _second_signal_interrupts(stop):
            job.end()


def _each_item(backlog: Backlog, runner: TaskRunner, stop: StopRequest) -> Iterator[Outcomes]:
    while not backlog.exhausted:
        backlog.fill()
        if requests.take_resize():
            log.warning("the number of workers stays: --workers 0 has none")
        if stop.requested or backlog.halted:
            if stop.requested:
                stop.begin_grace()
            backlog.stop()
        elif work := backlog.next_batch():
            yield from _do(backlog, *work, runner, stop)
        else:
            connection.wait([stop.waker], TICK)
            stop.clear_waker()
        yield from backlog.take_failed() or [NO_OUTCOMES]


def _do(
    backlog: Backlog, batch: Batch, task: Task, runner: TaskRunner, stop: StopRequest
) -> list[Outcomes]:
    """Do one item; one that a second signal interrupts has no outcome, and is done again."""
    name = current_process().name
    try:
        runner.unpack(task)
    except Exception as error:
        return backlog.unpickle_failed(batch, describe(error), name)
    backlog.current_items = {name: (batch.pairs[0][0], time.monotonic())}
    with suppress(KeyboardInterrupt), _second_signal_interrupts(stop):  # as the item has ended
        runner.run()
    backlog.current_items = {}
    report = runner.report()
    return [backlog.completed(batch, report, name)] if report and not stop.urgent else []


@contextmanager
def _second_signal_interrupts(stop: StopRequest) -> Iterator[None]:
    """Raise KeyboardInterrupt in the job at a second Ctrl-C or SIGTERM, as Python does."""

    def interrupt(number: int, _frame: object) -> None:
        stop.note(number, None)
        if stop.urgent:
            signal.default_int_handler(number, None)

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
