"""Every option: its type, its default and its help."""

import math
import os
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click

from ..log.formats import check_layout
from ..settings import TEXT_LAYOUT, start_methods, usable_cores
from ..system.files import meant_by
from .config import slug_and_version

SLUG, VERSION = slug_and_version()
Command = Callable[..., Any]


class FilePath(click.Path):
    """A file's path, from wherever it comes: it means what it meant when the command was given."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the absolute path."""
        try:
            return meant_by(os.fspath(value))
        except ValueError as error:
            self.fail(f"{value}: {error}", param, ctx)


FILE_PATH = FilePath()

MOST_WORKERS = 1_000
"""A slip of the finger shall not take a whole machine down."""


def _finite(context: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no length of time.", context, param)
    return value


def _layout(context: click.Context, param: click.Parameter, value: str) -> str:
    """Try a layout on a record; a field of the owner's own, which only some have, is fine."""
    try:
        check_layout(value)
    except (TypeError, ValueError) as error:
        raise click.BadParameter(f"{error}.", context, param) from None
    return value


inputs_argument = click.argument("inputs", nargs=-1)
log_file_option = click.option(
    "--log-file",
    type=FILE_PATH,
    default=Path("logs", f"{SLUG}.log"),
    show_default=True,
    help="The one log of all processes.",
)
unused_log_file_option = click.option(
    "--log-file",
    type=FILE_PATH,
    default=Path("logs", f"{SLUG}.log"),
    show_default=True,
    help="Not read any more, all is in the journal; only kept from being overwritten.",
)
results_option = click.option(
    "--results",
    type=FILE_PATH,
    default=Path("results.db"),
    show_default=True,
    help="SQLite file that keeps the outcomes.",
)
start_method_option = click.option(
    "--start-method",
    type=click.Choice(start_methods()),
    default=start_methods()[0],
    show_default=True,
    help="How multiprocessing starts a worker.",
)

RUN = [
    click.option(
        "--workers",
        type=click.IntRange(1, MOST_WORKERS),
        default=usable_cores,
        show_default="usable cores",
        help="Worker processes.",
    ),
    results_option,
    log_file_option,
    click.option(
        "--log-level",
        type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], case_sensitive=False),
        default="INFO",
        show_default=True,
        help="Log nothing below this.",
    ),
    click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="Lines of text, or one JSON object a line.",
    ),
    click.option(
        "--log-layout",
        default=TEXT_LAYOUT,
        show_default=True,
        callback=_layout,
        help="The text format, in logging's %-style.",
    ),
    click.option(
        "--log-transport",
        type=click.Choice(["auto", "pipe", "queue"]),
        default="auto",
        show_default=True,
        help="How records get to the listener; auto is the pipe where there is one.",
    ),
    click.option(
        "--log-max-bytes",
        type=click.IntRange(min=0),
        default=0,
        show_default="never",
        help="Rotate the log at this size.",
    ),
    click.option(
        "--log-backups",
        type=click.IntRange(min=0),
        default=5,
        show_default=True,
        help="Rotated log files to keep.",
    ),
    start_method_option,
    click.option(
        "--item-timeout",
        type=click.FloatRange(min=0, min_open=True),
        callback=_finite,
        show_default="none",
        help="Seconds that one item may take.",
    ),
    click.option(
        "--max-attempts",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        help="Tries for an item whose worker dies or is timed out.",
    ),
    click.option(
        "--grace",
        type=click.FloatRange(min=0),
        default=10.0,
        show_default=True,
        callback=_finite,
        help="Seconds that running items may take to finish after SIGTERM or Ctrl-C.",
    ),
    click.option("--retry-failed", is_flag=True, help="Do the items again that failed earlier."),
    click.option(
        "--progress/--no-progress",
        default=None,
        show_default="on a terminal",
        help="Show a progress bar.",
    ),
    click.option("--verbose", is_flag=True, help="Show what each worker is at, and for how long."),
]

SCALE = [
    click.option(
        "--workers",
        type=click.IntRange(1, MOST_WORKERS),
        default=lambda: 2 * usable_cores(),
        show_default="twice the usable cores",
        help="The most workers to try.",
    ),
    click.option(
        "--seconds",
        type=click.FloatRange(min=0, min_open=True),
        default=2.0,
        show_default=True,
        callback=_finite,
        help="How long to measure each number of threads and of workers.",
    ),
    click.option(
        "--chart",
        type=FILE_PATH,
        help="Also draw the figures: a file that ends in .svg or .png.",
    ),
    click.option(
        "--log-file",
        type=FILE_PATH,
        default=Path("logs", f"{SLUG}-scale.log"),
        show_default=True,
        help="What the job logs meanwhile.",
    ),
    start_method_option,
]


def run_options(command: Command) -> Command:
    """Give a command the options of a run, in the order in which its help shows them."""
    return _with(RUN, command)


def scale_options(command: Command) -> Command:
    """Give a command the options of measuring."""
    return _with(SCALE, command)


def _with(options: list[Command], command: Command) -> Command:
    return reduce(lambda given, option: option(given), reversed(options), command)
