"""The command line: what a person can ask for, and the answers."""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import click

from .. import PACKAGE, STOPPED_BY_SIGNAL
from ..insight import chart as charts
from ..insight import report, timeline
from ..items.messages import FAILED, ItemsError, StoppedError
from ..log.pipe import has_atomic_pipes
from ..results import export, reading
from ..results.database import JournalError
from ..settings import Settings
from ..system import streams
from ..system.errors import (
    EngineLostError,
    EngineRefusedError,
    WorkersCannotStartError,
    error_name,
)
from ..system.files import replacing, shown
from ..system.streams import hurry, tell
from ..system.text import visible
from ..workers import engine
from . import config
from .options import (
    FILE_PATH,
    SLUG,
    VERSION,
    inputs_argument,
    results_option,
    run_options,
    scale_options,
    unused_log_file_option,
)
from .progress import Bar, Lines, Progress, summary

ALL_DONE = 0
SOME_FAILED = 1
USAGE = 2
WORKERS_CANNOT_START = 3
SOURCE_FAILED = 4


@click.group(name=SLUG, no_args_is_help=False)
@click.version_option(VERSION, prog_name=SLUG)
@click.option(
    "--config",
    type=FILE_PATH,
    is_eager=True,
    expose_value=False,
    callback=config.load,
    help=f"TOML file with settings.  [default: {SLUG}.toml, if there is one]",
)
def cli() -> None:
    """Do items in worker processes, keep their outcomes, write one log."""


@cli.command()
@inputs_argument
@run_options
@click.pass_context
def run(
    context: click.Context,
    /,
    inputs: tuple[str, ...],
    *,
    progress: bool | None,
    verbose: bool,
    **values: Any,
) -> int:
    """Do the items of INPUTS that have no outcome yet."""
    from .. import main  # noqa: PLC0415 - a job.py that cannot be imported must not break status

    names = {option.name.removeprefix("--").replace("-", "_") for option in engine.OPTIONS}
    chosen = {name: values.pop(name) for name in names}
    chosen |= {name: str(value) for name, value in chosen.items() if isinstance(value, Path)}
    settings = Settings(**values, engine=chosen)
    if settings.log_transport == "pipe" and not has_atomic_pipes():
        raise click.UsageError("--log-transport: pipe is not available on this platform", context)
    hurry()
    try:
        stats = main.run(settings, inputs, _progress(inputs, progress, verbose=verbose))
    except (main.RefusedError, EngineRefusedError) as error:
        raise click.UsageError(str(error), context) from error
    except (JournalError, EngineLostError) as error:
        return _complain(str(error), SOME_FAILED)
    except WorkersCannotStartError as error:
        return _complain_of_start(error)
    except OSError as error:  # no more descriptors or processes are to be had
        return _complain(f"the run cannot go on: {error}", WORKERS_CANNOT_START)
    files = f"results: {shown(settings.results)}", f"log:     {shown(settings.log_file)}"
    tell(*summary(stats), *files)
    if problem := streams.take_problem():  # the journal has it all, so the run is none the worse
        _complain(f"standard output: {problem}", ALL_DONE)
    if stats.signal:
        return STOPPED_BY_SIGNAL + stats.signal
    return SOME_FAILED if stats.failed or stats.skipped[FAILED] else ALL_DONE


for engine_option in engine.OPTIONS:
    run.params.append(
        click.Option(
            [engine_option.name],
            help=engine_option.help,
            is_flag=engine_option.is_flag,
            type=FILE_PATH if engine_option.is_path else None,
        )
    )


@cli.command()
@results_option
@click.pass_context
def status(context: click.Context, results: Path) -> int:
    """Say what the journal holds: done, failed, by error."""
    try:
        summary = reading.summarize(results)
    except JournalError as error:
        raise click.UsageError(str(error), context) from error
    tell(f"{shown(results)}: {summary.done} done, {summary.failed} failed")
    by_count = sorted(summary.errors.items(), key=lambda pair: -pair[1])
    tell(*(f"  {count} x {visible(name)}" for name, count in by_count))
    return ALL_DONE


@cli.command("export")
@results_option
@click.option(
    "--format",
    type=click.Choice(list(export.FORMS)),
    required=True,
    help="One JSON object a line, or comma-separated values.",
)
@click.option(
    "--output",
    type=FILE_PATH,
    show_default="standard output",
    help="File to write; it appears when it is complete.",
)
@click.pass_context
def export_command(
    context: click.Context, /, results: Path, *, output: Path | None, **values: str
) -> int:
    """Write all outcomes, one a line."""
    config.keep_apart(context, {"--results": results, "--output": output})
    if not output and streams.stdout_is_closed():
        raise click.UsageError("--output: standard output is closed", context)
    try:
        export.write(results, values["format"], output, _tell_of_damage)
    except JournalError as error:
        raise click.UsageError(str(error), context) from error
    except BrokenPipeError:
        return ALL_DONE  # the reader has what it wanted, as head does
    except OSError as error:
        where = shown(output) if output else "standard output"
        raise click.UsageError(f"--output: {where}: {error.strerror}", context) from error
    return ALL_DONE


@cli.command()
@inputs_argument
@scale_options
@click.pass_context
def scale(
    context: click.Context,
    /,
    inputs: tuple[str, ...],
    *,
    seconds: float,
    chart: Path | None,
    **values: Any,
) -> int:
    """Measure how the job scales: by threads and by processes, on some of INPUTS.

    It does the same items again and again, and keeps no outcome.
    """
    from .. import main  # noqa: PLC0415 - as in run
    from ..insight import scale as scaling  # noqa: PLC0415

    settings, measured = Settings(**values, results=Path(os.devnull)), list[report.Measured]()
    if chart and (problem := charts.problem(chart)):
        raise click.UsageError(f"--chart: {problem}", context)
    hurry()
    if report.is_busy():
        tell("Other programs keep this machine busy; the figures will be off.", error=True)
    try:
        with closing(scaling.measure(settings, inputs, seconds)) as measurements:
            for one in measurements:
                tell(one.row(measured[0].rate) if measured else report.heading(one))
                measured.append(one)
    except main.RefusedError as error:
        raise click.UsageError(str(error), context) from error
    except scaling.ScaleError as error:
        return _complain(str(error), SOME_FAILED)
    except WorkersCannotStartError as error:
        return _complain_of_start(error)
    tell(report.advice(measured, gil=report.has_gil()))
    if chart:
        charts.draw(measured, f"{SLUG}, {measured[0].items} items", chart)
        tell(f"chart: {shown(chart)}")
    return ALL_DONE


@cli.command("timeline")
@results_option
@unused_log_file_option
@click.option("--output", type=FILE_PATH, help="Trace file for Perfetto.")
@click.option("--html", type=FILE_PATH, help="Page for a browser.")
@click.pass_context
def timeline_command(
    context: click.Context, results: Path, log_file: Path, output: Path | None, html: Path | None
) -> int:
    """Draw who did what when, from the journal."""
    if not (output or html):
        raise click.UsageError("give --output, --html or both", context)
    files = {"--results": results, "--log-file": log_file, "--output": output, "--html": html}
    config.keep_apart(context, files)
    try:
        seen = timeline.collect(results, _tell_of_damage)
    except JournalError as error:
        raise click.UsageError(str(error), context) from error
    if not seen.items:
        raise click.UsageError(f"{shown(results)} has no items", context)
    tell(seen.summary)
    for option, path, write in (
        ("--output", output, timeline.write_trace),
        ("--html", html, partial(timeline.write_html, title=f"{SLUG}: {shown(results)}")),
    ):
        if path:
            _write(context, option, path, partial(write, seen))
    return ALL_DONE


def _write(
    context: click.Context, option: str, path: Path, write: Callable[[TextIO], None]
) -> None:
    try:
        with replacing(path) as file:
            write(file)
    except OSError as error:
        raise click.UsageError(f"{option}: {shown(path)}: {error.strerror}", context) from error
    tell(f"{option.removeprefix('--')}: {shown(path)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; a usage error is one line."""
    try:
        code: int = cli.main(
            arguments, prog_name=SLUG, standalone_mode=False, auto_envvar_prefix=PACKAGE.upper()
        )
    except click.ClickException as error:
        return _complain(config.one_line(error), USAGE)
    except ItemsError as error:
        return _complain(str(error), SOURCE_FAILED)
    except (click.Abort, StoppedError) as stopped:
        return STOPPED_BY_SIGNAL + int(getattr(stopped, "number", 2))
    except OSError as error:
        return _complain(f"{shown(error.filename or '')}: {error.strerror}", SOME_FAILED)
    tell()
    if problem := streams.take_problem():
        return _complain(f"standard output: {problem}", SOME_FAILED)
    return code


def _progress(inputs: Sequence[str], wanted: bool | None, *, verbose: bool) -> Progress:
    if wanted is False:
        return Progress()
    if not streams.stderr().isatty():
        return Lines(verbose=verbose)
    return Bar(lambda: _count(inputs), verbose=verbose)


def _count(inputs: Sequence[str]) -> int | None:
    from .. import job  # noqa: PLC0415 - by now it can be imported

    count: Callable[[Sequence[str]], Any] = getattr(job, "count", lambda _: None)
    total = count(inputs)
    return total if isinstance(total, int) else None


def _tell_of_damage(key: str, what: str) -> None:
    tell(f"Damaged: {visible(key)}: {what}", error=True)


def _complain(message: str, code: int) -> int:
    tell(f"Error: {visible(message)}", error=True)
    return code


def _complain_of_start(error: WorkersCannotStartError) -> int:
    return _complain(f"workers cannot start: {error_name(str(error))}", WORKERS_CANNOT_START)
