"""Main orchestration: listener up, workers up, outcomes in, everything down again."""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from .configurer import configure_worker
from .items.backlog import Backlog
from .items.job_options import call_of
from .items.messages import DONE, FAILED
from .items.outcomes import NO_OUTCOMES, Outcomes
from .items.refusals import items_error
from .items.source import Source
from .items.stats import Progress, RunStats
from .listener import Listener
from .results.heartbeat import Heartbeat
from .results.settling import Settled, Settler, settled_of
from .settings import Settings
from .startup import begin_items, check_log, import_job, open_journal, prepare
from .system.capacity import start_with_retries
from .system.files import shown
from .system.leaving import within
from .system.preload import preload
from .system.processes import await_helpers, start_helpers
from .system.signals import StopRequest
from .system.stack_report import StackReport
from .system.streams import tell
from .workers import in_process, supervisor

log = logging.getLogger(__name__)
Kept = TypeVar("Kept")

STOPPING = "stopping: running items may take {:g} s more; a second signal ends them at once"
MAIN_STALL_SECONDS = 0.2
LEAVE_SECONDS = 10.0
LEAVE_QUICKLY_SECONDS = 1.2


@dataclass(frozen=True, slots=True)
class Service:
    """The parts that are up as long as the service runs."""

    settings: Settings
    stop: StopRequest
    source: Source
    """Reads the job's items, once asked to."""
    listener: Listener
    stacks: StackReport
    settled: Settled | None
    """The job's ``settled``, if it has one."""

    def outcomes(self, backlog: Backlog, workers: int | None = None) -> Generator[Outcomes]:
        """Start workers, yield outcomes as they complete, and end the workers.

        Raises:
            WorkersCannotStartError, EngineRefusedError, EngineLostError: See ``supervisor.run``.
        """
        settings = replace(self.settings, workers=workers or self.settings.workers)
        backlog.source.read()
        self.stacks.ask_workers = lambda: backlog.ask_for_stacks()  # noqa: PLW0108 - not there yet
        if settings.workers:
            yield from supervisor.run(backlog, settings, self.listener.setup, self.stop)
        else:
            yield from in_process.run(backlog, self.listener.setup, self.stop)


def run(settings: Settings, inputs: Sequence[str], progress: Progress) -> RunStats:
    """Do all items of ``inputs`` that have no outcome yet.

    Raises:
        RefusedError: ``job.items`` refused the inputs, the log cannot be written, or the results
            file is not a journal or in use; nothing was touched.
        StoppedError: A signal came before anything was touched.
        JournalError: An outcome cannot be recorded, because the disk is full for example.
        ItemsError: ``job.items`` raised; the outcomes of the items before are kept.
        WorkersCannotStartError: The job cannot be imported, workers die at their start, or no more
            processes or threads can be started.
        EngineRefusedError, EngineLostError: The execution model's engine is unusable, or is gone.
    """
    with (
        running(settings, inputs, open_journal) as (service, journal),
        progress,
        Settler(service.settled, journal, service.stop) as settler,
    ):
        attempts, delay = settings.max_attempts, settings.retry_delay
        backlog = Backlog(service.source, journal.admit, attempts, journal.events, delay)
        backlog.left, stats = settings.limit, RunStats(skipped=journal.skipped)
        heartbeat = Heartbeat(settings, stats, backlog, service.listener.losses)
        with closing(heartbeat):
            with closing(service.outcomes(backlog)) as completed:
                for outcomes in completed:
                    journal.record(outcomes)
                    stats.unsettled = settler.look()
                    stats.add(outcomes)
                    stats.correct(journal.take_changes())
                    stats.observe(backlog)
                    progress.show(stats)
                    heartbeat.turn(outcomes)
                    if stats.exceeds(settings.max_failures) and not stats.halted:
                        _halt(stats, backlog)
                    _handle_requests(service, progress)
                journal.commit()
                stats.correct(journal.take_changes())
            _settle_rest(settler, stats, service, progress, heartbeat)
        _conclude(stats, service)
    return stats


@contextmanager
def running(
    settings: Settings,
    inputs: Sequence[str],
    keep: Callable[[Settings], AbstractContextManager[Kept]],
) -> Iterator[tuple[Service, Kept]]:
    """Begin with the items and start the log; end both afterwards, the log last.

    Args:
        settings: Of the run.
        inputs: For ``job.items``.
        keep: Opens the store of the outcomes; called once the inputs are accepted, before the log
            file is opened.

    Raises:
        RefusedError, StoppedError, ItemsError, WorkersCannotStartError: See ``run``.
    """
    prepare(settings)
    with suppress(OSError):  # reported when workers cannot be started
        start_helpers(settings.start_method)
    stop = StopRequest(settings.grace)
    log_failure = partial(_log_failure, settings, stop)
    job = import_job(settings, log_failure)
    call = call_of(job.items, inputs, settings.job_option)
    with (
        stop.listening(),
        closing(begin_items(call, settings.poll, stop, log_failure)) as source,
        keep(settings) as kept,
        listening(settings, stop) as listener,
    ):
        stacks = StackReport(partial(_pid, listener))
        yield Service(settings, stop, source, listener, stacks, settled_of(job)), kept


@contextmanager
def listening(settings: Settings, stop: StopRequest) -> Iterator[Listener]:
    """Run a listener, with this process's logging configured, for the time of a run.

    Raises:
        RefusedError: The log file cannot be written.
    """
    check_log(settings)
    with suppress(OSError):  # reported when the listener cannot be started
        await_helpers(settings.start_method, settings.start_timeout, lambda: stop.requested)
    listener = start_with_retries(partial(Listener, settings))
    start_with_retries(listener.start)
    try:
        configure_worker(listener.setup, MAIN_STALL_SECONDS)
        workers = f"{settings.workers} workers by {settings.start_method}"
        where = workers if settings.workers else "all in this process"
        log.info("run begins: %s, log listener pid %d", where, _pid(listener))
        yield listener
    except Exception as error:
        log.error("run ends early: %s: %s", type(error).__name__, error)  # noqa: TRY400 - cli tells
        raise
    finally:
        if not listener.stop(LEAVE_QUICKLY_SECONDS if stop.requested else LEAVE_SECONDS):
            tell(f"not everything could be written to {shown(settings.log_file)}", error=True)
        if listener.lost:
            tell(f"{listener.lost} log records were lost", error=True)


def _pid(listener: Listener) -> int:
    return (listener.process and listener.process.pid) or 0


def _log_failure(settings: Settings, stop: StopRequest, text: str) -> None:
    """Log why there is no run."""
    preload.cancel()
    with listening(settings, stop):
        log.error("%s", text)


def _halt(stats: RunStats, backlog: Backlog) -> None:
    """Begin no other item: too many have failed."""
    stats.halted = True
    backlog.halt()
    log.error("halted by --max-failures: %d of %d failed", stats.failed, stats.failed + stats.done)


def _settle_rest(
    settler: Settler, stats: RunStats, service: Service, progress: Progress, heartbeat: Heartbeat
) -> None:
    """Call ``settled`` with the remaining outcomes, as long as calls succeed."""
    for unsettled in settler.drain():
        stats.unsettled = unsettled
        progress.show(stats)
        heartbeat.turn(NO_OUTCOMES)
        _handle_requests(service, progress)
    stats.unsettled = settler.unsettled
    if stats.unsettled:
        log.warning("%d outcomes are left for settled() in the next run", stats.unsettled)


def _handle_requests(service: Service, progress: Progress) -> None:
    """Keep the listener running, handle requests by signals, report a stop on the screen."""
    service.stacks.look()
    service.listener.ensure_running(reopen=service.stop.take_reopen())
    if service.stop.take_request():
        progress.note(STOPPING.format(service.stop.grace))


def _conclude(stats: RunStats, service: Service) -> None:
    stop, source = service.stop, service.source
    if stop.requested:
        stats.signal = stop.signals[0]
        within(stop.seconds_left)
    if source.error and not stop.signals:
        raise items_error(source.error, refused=source.refused)
    ends = "run ends: %d done, %d failed, %d done and %d failed in earlier runs"
    log.info(ends, stats.done, stats.failed, stats.skipped[DONE], stats.skipped[FAILED])
