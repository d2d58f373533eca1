"""Make click's options from the declarations in ``settings``, and show them in groups."""

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from .. import PACKAGE
from ..settings import (
    AGE,
    FLAG,
    GROUPS,
    JOB_OPTION,
    LOG_FILE,
    MOST_WORKERS,
    PATH,
    TEXTS,
    Kind,
    Option,
    choice,
    number,
    options,
    slug_and_version,
    usable_cores,
    whole,
)
from ..workers.options import OPTIONS
from .values import type_of

SLUG, VERSION = slug_and_version()
VARIABLES = PACKAGE.upper()
"""The prefix of all environment variables."""
JOB_VARIABLES = f"{VARIABLES}_JOB_"
SHARED = ("results", "log_file", "log_layout", "start_method", "job_option")
"""Settings of ``run`` that other commands have as well: one fact, and one environment variable."""


class SettingOption(click.Option):
    """An option of the command line that comes from a setting."""

    def __init__(
        self, name: str, setting: Option, *, required: bool = False, shared: bool = False
    ) -> None:
        """Make it from a declaration.

        Args:
            name: Name of the setting.
            setting: Its declaration.
            required: Whether it must be given.
            shared: Whether ``run`` has the same setting, whose variable is used then.
        """
        self.setting, kind, default = setting, setting.kind, setting.default
        if kind in (PATH, LOG_FILE) and default:
            default = str(default() if callable(default) else default)
        text = name.replace("_", "-")
        super().__init__(
            [f"--{text}/--no-{text}" if kind is FLAG and default is not False else f"--{text}"],
            is_flag=kind is FLAG,
            type=type_of(kind),
            metavar=None if kind.name == "choice" else kind.metavar,
            show_default=setting.shown or kind is not FLAG,
            required=required,
            multiple=kind is JOB_OPTION,
            envvar=f"{VARIABLES}_RUN_{name.upper()}" if shared else None,
            allow_from_autoenv=not shared,
            help=setting.help,
            **({} if required else {"default": default}),  # click takes None for a value, too
        )

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert a value, unless it is one of the kind's words or belongs to the job."""
        words = self.setting.kind.words
        as_it_is = self.multiple or value in words
        return value if as_it_is else super().type_cast_value(ctx, value)


class JobOption(SettingOption):
    """The job's own options, key by key: command line, then environment, then file."""

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[dict[str, Any], ParameterSource]:
        """Return all of them by key; values of the file keep their types, all others are texts."""
        name = self.name or ""
        file: dict[str, Any] = ctx.lookup_default(name) or {}
        values: dict[str, Any] = {}
        for key, value in file.items():
            values[self._key(key.replace("-", "_"), f"{key!r} in {ctx.meta['config']}")] = value
        for variable, value in os.environ.items():
            if variable.startswith(JOB_VARIABLES):
                key = variable.removeprefix(JOB_VARIABLES).lower()
                values[self._key(key, f"the environment variable {variable}")] = value
        variable = f"the environment variable {self.envvar}"
        texts = [(text, variable) for text in self.value_from_envvar(ctx) or ()]
        texts += [(text, "the command line") for text in opts.get(name) or ()]
        for text, origin in texts:
            key, equals, value = text.partition("=")
            key = key.replace("-", "_") if equals else ""
            values[self._key(key, f"{text!r} (from {origin})")] = value
        return values, ParameterSource.COMMANDLINE

    def _key(self, key: str, where: str) -> str:
        """Return a valid key.

        Raises:
            click.BadParameter: It is not valid.
        """
        if not re.fullmatch("[a-z][a-z0-9_]*", key):
            raise click.BadParameter(f"{where} is not valid", param=self)
        return key


class Command(click.Command):
    """A command whose help shows its options in groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups, the most used first."""
        groups: dict[str, list[tuple[str, str]]] = {group: [] for group in (*GROUPS, "Options")}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record and isinstance(param, click.Option):
                group = param.setting.group if isinstance(param, SettingOption) else ""
                groups[group or "Options"].append(record)
        for group, records in groups.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)


def kind_of(param: click.Parameter) -> Kind:
    """Return what an option or argument takes."""
    return param.setting.kind if isinstance(param, SettingOption) else TEXTS


def variable_of(command: str, param: click.Parameter) -> str:
    """Return the environment variable of an option of a command, or of the group, called ``""``."""
    own = "_".join(filter(None, (VARIABLES, command, param.name))).upper()
    return str(param.envvar or own)


def _given(
    settings: Mapping[str, Option], shared: Collection[str] = SHARED
) -> list[click.Parameter]:
    kinds = {JOB_OPTION: JobOption}
    return [
        kinds.get(setting.kind, SettingOption)(name, setting, shared=name in shared)
        for name, setting in settings.items()
    ]


INPUTS = click.Argument(["inputs"], nargs=-1)
KEY = click.Argument(["key"])
RUNS = options()
RESULTS = RUNS["results"]
OUTPUT = Option(PATH, "File to write; it appears when it is complete.", shown="standard output")
FORMAT = Option(choice("jsonl", "csv"), "One JSON object a line, or comma-separated values.")
FLAT = Option(
    FLAG, "CSV has a column for each field of the results, nested ones dotted.", default=False
)
ONLY_FAILED = Option(FLAG, "Only what failed.", default=False)
OLDER_THAN = Option(AGE, "How long ago an outcome must have ended to go, such as 30d or 12h.")
COUNT_ONLY = Option(FLAG, "Only say how many would go.", default=False)

RUN = [INPUTS, *_given(RUNS | OPTIONS)]
STATUS = _given(
    {
        "results": RESULTS,
        "watch": Option(FLAG, "Show it again every second, until Ctrl-C.", default=False),
        "json": Option(FLAG, "Print one JSON object, for programs.", default=False),
        "alive": Option(
            FLAG, "Only say whether a run works and is not stuck: exit 0, else 1.", default=False
        ),
    }
)
ITEM_LOG = [KEY, *_given({name: RUNS[name] for name in ("log_file", "log_layout")})]
EXPORT = [
    *_given({"results": RESULTS, "output": OUTPUT, "flat": FLAT, "failed": ONLY_FAILED}),
    SettingOption("format", FORMAT, required=True),
]
PRUNE = [
    *_given({"results": RESULTS, "dry_run": COUNT_ONLY}),
    SettingOption("older_than", OLDER_THAN, required=True),
]
SCALE = [
    INPUTS,
    *_given(
        {
            "workers": RUNS["workers"]._replace(
                kind=whole(1, MOST_WORKERS),
                help="The most workers to try.",
                default=lambda: 2 * usable_cores(),
                shown="twice the usable cores",
            ),
            "seconds": Option(
                number(above=True), "How long to measure each number of workers.", default=2.0
            ),
            "chart": Option(PATH, "Also draw the figures: a file that ends in .svg or .png."),
            "log_file": RUNS["log_file"]._replace(
                help="What the job logs meanwhile.",
                default=Path("logs", f"{SLUG}-scale.log"),
            ),
            "start_method": RUNS["start_method"],
            "job_option": RUNS["job_option"],
        },
        shared=("start_method", "job_option"),
    ),
]
TIMELINE = _given(
    {
        "results": RESULTS,
        "log_file": RUNS["log_file"]._replace(help="Not read; only kept from being overwritten."),
        "output": Option(PATH, "Trace file for Perfetto."),
        "html": Option(PATH, "Page for a browser."),
    }
)
