"""Refuse settings that contradict each other, before anything starts."""

from importlib.util import find_spec
from pathlib import Path

import click

from ..results.keys import files_of
from ..settings import Settings
from ..system.files import NEW, check_writable, shown
from . import config

NEED_WORKERS = ("item_timeout", "recycle_after", "worker_memory", "threads_per_worker")
"""Settings that need worker processes."""

WITHOUT_PRELOAD = {
    "spawn": "needs --start-method forkserver; with spawn each worker has to import the job itself",
    "fork": "needs --start-method forkserver; with fork workers have the job from main anyway",
}
"""Reasons to refuse ``--preload``, by start method."""
NOT_OURS = ("scheduler", "scheduler_file")
"""Options of dask's that name a cluster which is not this run's."""


def check_together(settings: Settings) -> None:
    """Refuse settings that contradict each other.

    Raises:
        click.UsageError: There are some, or the file for metrics cannot be written.
    """
    of_workers = {name: getattr(settings, name) for name in NEED_WORKERS} | dict(settings.engine)
    needed = [name for name, value in of_workers.items() if value]
    if needed and not settings.workers:
        option = f"--{needed[0].replace('_', '-')}"
        raise click.UsageError(f"{option}: needs a process of its own; --workers 0 has none")
    if settings.preload and (problem := _no_preload(settings)):
        raise click.UsageError(f"--preload: {problem}")
    if settings.metrics:
        _check_metrics(settings.metrics, settings)


def _no_preload(settings: Settings) -> str:
    """Return why the job cannot be imported once for all workers; empty if it can."""
    if not settings.workers:
        return "needs a process of its own; --workers 0 has none"
    if any(settings.engine.get(name) for name in NOT_OURS):
        return "needs workers that this run starts; a dask scheduler has its own"
    return WITHOUT_PRELOAD.get(settings.start_method, "")


def _check_metrics(path: Path, settings: Settings) -> None:
    """Refuse a file that cannot be replaced, or that lacks the library to write it."""
    if not find_spec("prometheus_client"):
        text = "needs prometheus-client: install this project with its extra 'metrics'"
        raise click.UsageError(f"--metrics: {text}")
    config.keep_apart({"--log-file": settings.log_file, "--metrics": path})
    if path.resolve() in files_of(settings.results):
        raise click.UsageError(f"--metrics: {shown(path)} belongs to the results file")
    if path.exists() and not path.is_file():
        raise click.UsageError(f"--metrics: {shown(path)} is not a regular file")
    try:
        check_writable(path, [NEW])
    except OSError as error:
        raise click.UsageError(f"--metrics: {shown(path)} {error.strerror}") from error
