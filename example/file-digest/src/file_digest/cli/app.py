"""The commands, their output and their exit codes.

Each command imports what it needs when it is called: ``--help`` answers at once, and a job.py that
cannot be imported breaks no other command than ``run`` and ``scale``.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click

from .. import STOPPED_BY_SIGNAL
from ..items.messages import FAILED, ItemsError, StoppedError
from ..settings import PATH, Settings
from ..system import streams
from ..system.errors import (
    EngineLostError,
    RefusedError,
    ScaleError,
    WorkersCannotStartError,
    error_name,
)
from ..system.files import STDOUT, shown
from ..system.memory import size_text
from ..system.streams import hurry, tell
from ..system.text import visible
from ..workers.options import OPTIONS
from . import config, options
from .options import SLUG, VARIABLES, VERSION, Command
from .values import type_of

ALL_DONE = 0
SOME_FAILED = NOT_ALIVE = 1
USAGE = 2
WORKERS_CANNOT_START = 3
SOURCE_FAILED = 4
HALTED = 5

EXIT_CODES: dict[type[Exception], int] = {
    click.ClickException: USAGE,
    RefusedError: USAGE,
    ScaleError: SOME_FAILED,
    EngineLostError: SOME_FAILED,
    WorkersCannotStartError: WORKERS_CANNOT_START,
    ItemsError: SOURCE_FAILED,
    OSError: SOME_FAILED,
}

CONFIG = click.Option(
    ["--config"],
    type=type_of(PATH),
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=config.load,
    help=f"TOML file with settings.  [default: {SLUG}.toml, if there is one]",
)


@click.group(name=SLUG, invoke_without_command=True, params=[CONFIG])
@click.version_option(VERSION, prog_name=SLUG)
@click.pass_context
def cli(context: click.Context) -> int:
    """Do items in worker processes, keep their outcomes, write one log."""
    if context.invoked_subcommand is None:  # a script that lost its arguments is to see that
        tell(context.get_help(), error=True)
    return USAGE


@cli.command(cls=Command, params=options.RUN)
def run(inputs: tuple[str, ...], **values: Any) -> int:
    """Do the items of INPUTS that have no outcome yet."""
    from .. import main
    from ..insight.dry_run import keys_to_do
    from ..results.database import JournalError
    from .checks import check_together
    from .progress import progress_for, summary

    chosen = {name: values.pop(name) for name in OPTIONS}
    engine = {name: str(v) if isinstance(v, Path) else v for name, v in chosen.items()}
    settings = Settings(**values, engine=engine)
    check_together(settings)
    if settings.dry_run:
        return _show_keys(keys_to_do(settings, inputs))
    hurry()
    try:
        stats = main.run(settings, inputs, progress_for(settings, inputs))
    except JournalError as error:
        return _complain(str(error), SOME_FAILED)
    except OSError as error:  # the limit of descriptors or processes is reached
        return _complain(f"the run cannot go on: {error}", WORKERS_CANNOT_START)
    files = f"results: {shown(settings.results)}", f"log:     {shown(settings.log_file)}"
    tell(*summary(stats), *files)
    if problem := streams.take_problem():  # the journal is complete, so the exit code stays
        _complain(f"standard output: {problem}", ALL_DONE)
    if stats.signal:
        return STOPPED_BY_SIGNAL + stats.signal
    if stats.halted:
        return HALTED
    return SOME_FAILED if stats.failed or stats.skipped[FAILED] else ALL_DONE


@cli.command(cls=Command, params=options.STATUS)
def status(results: Path, **asked: bool) -> int:
    """Show the outcomes in the journal, and the progress of a live run."""
    from . import status as view

    if len(chosen := [f"--{name}" for name, given in asked.items() if given]) > 1:
        raise click.UsageError(f"give one of {' and '.join(chosen)}")
    if asked["watch"]:
        view.watch(results)
        return ALL_DONE
    with _refusing():
        if asked["alive"]:
            problem = view.problem(results)
            return _complain(problem, NOT_ALIVE) if problem else ALL_DONE
        tell(*([view.as_json(results)] if asked["json"] else view.lines(results)))
    return ALL_DONE


@cli.command(cls=Command, params=options.ITEM_LOG)
def log(key: str, log_file: Path, log_layout: str) -> int:
    """Print the log lines of one item, from all files of the log."""
    from ..insight.item_log import LayoutError, lines_of

    if log_file == STDOUT:
        raise click.UsageError("--log-file: the log went to standard output, so no file has it")
    try:
        lines = lines_of(key, log_file, log_layout)
    except LayoutError as error:
        raise click.UsageError(f"--log-layout: {error}") from error
    except FileNotFoundError as error:
        raise click.UsageError(f"--log-file: {shown(log_file)} does not exist") from error
    found = False
    for line in lines:
        found = True
        tell(line)
        if streams.nobody_reads():
            break
    return ALL_DONE if found else _complain(f"no line of {key} in {shown(log_file)}", SOME_FAILED)


@cli.command(cls=Command, params=options.EXPORT)
def export(results: Path, output: Path | None, *, flat: bool, failed: bool, **values: str) -> int:
    """Write outcomes, one a line."""
    from ..results import export as exporting

    config.keep_apart({"--results": results, "--output": output})
    if not output and streams.stdout_is_closed():
        raise click.UsageError("--output: standard output is closed")
    if flat and values["format"] != "csv":
        raise click.UsageError("--flat: goes with --format csv")
    form = exporting.FLAT if flat else values["format"]
    with _refusing(f"--output: {shown(output) if output else 'standard output'}"):
        exporting.write(results, form, output, _tell_of_damage, failed=failed)
    return ALL_DONE


@cli.command(cls=Command, params=options.PRUNE)
def prune(results: Path, older_than: int, *, dry_run: bool) -> int:
    """Remove old outcomes; also during a run.

    A later run does their keys again.
    """
    from ..results import pruning

    before = time.time() - older_than
    with _refusing(f"--results: {shown(results)}"):
        if dry_run:
            tell(f"{shown(results)}: {pruning.count_ended(results, before)} outcomes would go")
            return ALL_DONE
        pruned = pruning.prune(results, before)
    sizes = f"{size_text(pruned.size_before)} before, {size_text(pruned.size)} now"
    tell(f"{shown(results)}: {pruned.outcomes} outcomes removed; {sizes}")
    return ALL_DONE


@cli.command(cls=Command, params=options.SCALE)
def scale(inputs: tuple[str, ...], *, seconds: float, chart: Path | None, **values: Any) -> int:
    """Measure how the job scales, by threads and by processes, on some of INPUTS.

    It repeats the same items, and keeps no outcome.
    """
    from ..insight import chart as charts
    from ..insight import report
    from ..insight.scale import measure

    settings, measured = Settings(**values, grace=0.0), list[report.Measured]()
    if chart and (problem := charts.problem(chart)):
        raise click.UsageError(f"--chart: {problem}")
    hurry()
    if report.is_busy():
        tell("Other programs keep this machine busy; the figures will be off.", error=True)
    with closing(measure(settings, inputs, seconds)) as measuring:
        for one in measuring:
            tell(one.row(measured[0].rate) if measured else report.heading(one))
            measured.append(one)
    tell(report.advice(measured, gil=report.has_gil()))
    if chart:
        charts.draw(measured, f"{SLUG}, {measured[0].items} items", chart)
        tell(f"chart: {shown(chart)}")
    return ALL_DONE


@cli.command(cls=Command, params=options.TIMELINE)
def timeline(results: Path, log_file: Path, output: Path | None, html: Path | None) -> int:
    """Draw items and workers over time, from the journal."""
    from ..insight import page, trace
    from ..insight.timeline import collect
    from ..system.files import replacing

    if not (output or html):
        raise click.UsageError("give --output, --html or both")
    files = {"--results": results, "--log-file": log_file, "--output": output, "--html": html}
    config.keep_apart(files)
    with _refusing():
        seen = collect(results, _tell_of_damage)
    if not seen.lanes:
        raise click.UsageError(f"{shown(results)} has no items")
    tell(seen.summary)
    draw = partial(page.write, title=f"{SLUG}: {shown(results)}")
    for option, path, write in (("output", output, trace.write), ("html", html, draw)):
        if path:
            with _refusing(f"--{option}: {shown(path)}"), replacing(path) as file:
                write(seen, file)
            tell(f"{option}: {shown(path)}")
    return ALL_DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; an error is one line."""
    try:
        code: int = cli.main(
            arguments, prog_name=SLUG, standalone_mode=False, auto_envvar_prefix=VARIABLES
        )
    except (click.Abort, StoppedError) as stopped:
        return STOPPED_BY_SIGNAL + int(getattr(stopped, "number", 2))
    except tuple(EXIT_CODES) as error:
        codes = (code for kind, code in EXIT_CODES.items() if isinstance(error, kind))
        return _complain(_message(error), next(codes))
    tell()
    if problem := streams.take_problem():
        return _complain(f"standard output: {problem}", SOME_FAILED)
    return code


@contextmanager
def _refusing(name: str = "") -> Iterator[None]:
    """Turn errors of reading and writing into usage errors.

    Args:
        name: The option and the file that are written, for the message.
    """
    from ..results.database import JournalError

    try:
        yield
    except JournalError as error:
        raise click.UsageError(str(error)) from error
    except BrokenPipeError:  # the reader has what it wanted, as head does
        return
    except OSError as error:
        raise click.UsageError(f"{name}: {error.strerror}") from error


def _show_keys(keys: Iterator[str]) -> int:
    for key in keys:
        tell(visible(key))
        if streams.nobody_reads():
            break
    return ALL_DONE


def _message(error: Exception) -> str:
    """Return an error as one line."""
    if isinstance(error, click.ClickException):
        return config.one_line(error)
    if isinstance(error, WorkersCannotStartError):
        return f"workers cannot start: {error_name(str(error))}"
    if isinstance(error, OSError):
        return f"{shown(error.filename or '')}: {error.strerror}"
    return str(error)


def _tell_of_damage(key: str, what: str) -> None:
    tell(f"Damaged: {visible(key)}: {what}", error=True)


def _complain(message: str, code: int) -> int:
    tell(f"Error: {visible(message)}", error=True)
    return code
