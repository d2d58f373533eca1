"""Refuse settings that do not go together, before anything starts."""

from importlib.util import find_spec
from pathlib import Path

import click

from ..results.keys import files_of
from ..settings import Settings
from ..system.files import NEW, check_writable, shown
from . import config

NEED_WORKERS = ("item_timeout", "recycle_after", "worker_memory", "threads_per_worker")
"""Settings that mean nothing where all is done in main."""


def check_together(settings: Settings) -> None:
    """Refuse settings that do not go together.

    Raises:
        click.UsageError: They do not, or a file for metrics cannot be written.
    """
    needed = [name for name in NEED_WORKERS if getattr(settings, name) is not None]
    if needed and not settings.workers:
        option = f"--{needed[0].replace('_', '-')}"
        raise click.UsageError(f"{option}: needs a process of its own; --workers 0 has none")
    if settings.metrics:
        _check_metrics(settings.metrics, settings)


def _check_metrics(path: Path, settings: Settings) -> None:
    """Refuse a file that cannot be replaced, or that nobody would write."""
    if not find_spec("prometheus_client"):
        text = "needs prometheus-client: install this project with its extra 'metrics'"
        raise click.UsageError(f"--metrics: {text}")
    config.keep_apart({"--log-file": settings.log_file, "--metrics": path})
    if path.resolve() in files_of(settings.results):
        raise click.UsageError(f"--metrics: {shown(path)} belongs to the results file")
    if path.exists() and not path.is_file():
        raise click.UsageError(f"--metrics: {shown(path)} is no file")
    try:
        check_writable(path, [NEW])
    except OSError as error:
        raise click.UsageError(f"--metrics: {shown(path)} {error.strerror}") from error
