"""Start a run: check limits, import the job, call its items, open journal and log file."""

import hashlib
import importlib
import inspect
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .configurer import keep_early_records
from .items.job_options import check_options, plain_function
from .items.messages import ContractError, ItemsError, StoppedError
from .items.refusals import JOB, failure, refusal
from .items.source import Source
from .items.worker_job import load_job, retry_types
from .log.hooks import deliver
from .log.output import log_line
from .log.stream import claim_stdout
from .results.database import JournalError, check
from .results.journal import Journal
from .results.keys import files_of
from .results.settling import settled_of
from .settings import Settings
from .system.capacity import start_with_retries
from .system.errors import RefusedError, WorkersCannotStartError, describe
from .system.files import STDOUT, check_writable, shown
from .system.inheritance import reset_sigchld
from .system.leaving import within
from .system.lifeline import tie_forked_children
from .system.memory import collect_less_often
from .system.oslimits import check_limits
from .system.preload import Request, Result, preload
from .system.signals import StopRequest
from .system.streams import tell
from .system.threads import limit_threads, threads_for
from .workers import engine

log = logging.getLogger(__name__)

BESIDE_LOG = 64 * "x"
"""Stands for the longest ending of a file beside the log, that of a long record's part."""
CHANGED = "job.py has changed since the last run into {}; --redo does again what is done there"


def prepare(settings: Settings) -> None:
    """Make main ready; refuse, before anything starts, what the system does not allow.

    Raises:
        RefusedError: No folder for temporary files is usable, or standard output cannot be the log.
        WorkersCannotStartError: There are too few descriptors.
    """
    collect_less_often()
    tie_forked_children()
    most = settings.workers * (2 if settings.recycles else 1)  # each beside its successor
    check_limits(most, engine.WorkerManager.DESCRIPTORS)
    if settings.log_file == STDOUT:
        claim_stdout(settings.log_max_bytes)
    limit_threads(threads_for(settings))
    if settings.preload:
        request = Request(settings.log_level, settings.log_levels, settings.capture_output)
        preload.ask(request, settings.start_timeout, log_preload)


def log_preload(result: Result) -> None:
    """Log the records, the output and the result of a forkserver's import of the job."""
    for record in result.records:
        deliver(record)
    for line in result.output:
        log_line("output", line, processName="forkserver", process=result.pid)
    if result.problem:
        log.warning("--preload failed, so each worker imports the job: %s", result.problem)
    else:
        text = "the forkserver, pid %d, took %.2f s to import the job"
        log.info(text, result.pid, result.seconds)
    if result.threads:
        names = ", ".join(result.threads)
        log.warning("--preload: workers lack the threads that the import started: %s", names)


def import_job(settings: Settings, log_failure: Callable[[str], None]) -> ModuleType:
    """Import the job.

    Args:
        settings: Of the run.
        log_failure: Called with the reason if there is no run, for the log.

    Raises:
        WorkersCannotStartError: It cannot be imported, so no worker could either.
        RefusedError: One of its functions or its ``RETRY`` is wrong, or it takes no options.
    """
    keep_early_records(settings.log_level, settings.log_levels)
    try:
        job = load_job()
        reset_sigchld()
        _ = job.items, job.work
    except (Exception, SystemExit) as error:
        reason = describe(error)
        log_failure(f"the job cannot be imported:\n{reason}")
        raise WorkersCannotStartError(reason) from error
    try:
        plain_function("work", job.work)
        retry_types(job)
        settled_of(job)
        check_options(job, settings.job_option)
    except ContractError as error:
        raise RefusedError(str(error)) from error
    return job


def begin_items(
    call: Callable[[], Any],
    poll: float | None,
    stop: StopRequest,
    log_failure: Callable[[str], None],
) -> Source:
    """Call ``job.items``; nothing is read from it yet.

    Args:
        call: Calls it.
        poll: Seconds after which it is called again; None: never.
        stop: Requests to stop the run.
        log_failure: Called with the reason if there is no run, for the log.

    Raises:
        RefusedError: It refuses the inputs.
        ItemsError: It raised anything else.
        StoppedError: A signal came meanwhile.
    """
    source = Source(call, stop.wake, poll)
    start_with_retries(source.start)
    source.await_call(stop)
    if stop.requested:
        within(stop.seconds_left)
        raise StoppedError(stop.signals[0])
    if not (error := source.error):
        return source
    if source.refused:
        raise RefusedError(refusal(error)) from error
    log_failure(f"items() raised:\n{describe(error)}")
    raise ItemsError(failure(error)) from error


def check_log(settings: Settings) -> None:
    """Make sure that the log file exists and can be written.

    Raises:
        RefusedError: It cannot be written.
    """
    if settings.log_file == STDOUT:
        return
    try:
        check_writable(settings.log_file, [BESIDE_LOG])
        settings.log_file.parent.mkdir(parents=True, exist_ok=True)
        settings.log_file.open("ab").close()
    except OSError as error:
        raise RefusedError(f"--log-file: {refusal(error)}") from error


def open_journal(settings: Settings) -> Journal:
    """Open or create the journal.

    Raises:
        RefusedError: The journal or the log file cannot be opened; nothing was touched.
    """
    try:
        check(settings.results)
        log_file = settings.log_file.resolve()
        if log_file in files_of(settings.results) and settings.log_file != STDOUT:
            raise RefusedError(f"--log-file: {shown(log_file)} belongs to the results file")
        check_log(settings)
        polls = settings.poll is not None
        journal = Journal(
            settings.results,
            retry_failed=settings.retry_failed,
            redo=settings.redo,
            polls=polls,
            keep=settings.prune_older_than,
        )
        _note_job(journal, settings)
    except JournalError as error:
        raise RefusedError(f"--results: {error}") from error
    return journal


def _note_job(journal: Journal, settings: Settings) -> None:
    """Warn, once, that outcomes are of an earlier ``job.py``, unless the options show it."""
    try:
        source = inspect.getsource(importlib.import_module(JOB))
    except OSError:  # only its byte code is there
        return
    is_known = settings.redo or settings.retry_failed
    if journal.note_job(hashlib.sha256(source.encode()).hexdigest()) and not is_known:
        text = CHANGED.format(shown(settings.results))
        tell(text, error=True)
        log.warning("%s", text)
