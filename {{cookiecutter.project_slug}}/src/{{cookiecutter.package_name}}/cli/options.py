"""What ``settings`` declares, as click's options, in the groups of the help."""

from dataclasses import replace
from pathlib import Path

import click

from ..settings import (
    FLAG,
    GROUPS,
    MOST_WORKERS,
    PATH,
    TEXTS,
    Kind,
    Option,
    choice,
    number,
    option,
    options,
    slug_and_version,
    usable_cores,
    whole,
)
from ..workers.options import OPTIONS
from .values import type_of


class SettingOption(click.Option):
    """An option of the command line that comes from a setting."""

    def __init__(self, setting: Option, *, required: bool = False) -> None:
        """Make it out of what is known of the setting."""
        self.setting = setting
        flag, default = setting.kind is FLAG, setting.default
        if setting.kind is PATH and default:
            default = str(default() if callable(default) else default)
        name = f"--{setting.name.replace('_', '-')}"
        super().__init__(
            [f"{name}/--no{name[1:]}" if flag and default is not False else name],
            is_flag=flag,
            type=type_of(setting.kind),
            metavar=None if setting.kind.words else setting.kind.metavar,
            show_default=setting.shown or not flag,
            required=required,
            help=setting.help,
            **({} if required else {"default": default}),  # click takes None for a value, too
        )


class Inputs(click.Argument):
    """The words behind the options, for ``job.items``."""

    def __init__(self) -> None:
        """Take any number of them."""
        super().__init__(["inputs"], nargs=-1)


class Key(click.Argument):
    """An item's key."""

    def __init__(self) -> None:
        """Take one."""
        super().__init__(["key"])


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


def given(*settings: Option) -> list[click.Parameter]:
    """Return them for a command line."""
    return [SettingOption(setting) for setting in settings]


SLUG, VERSION = slug_and_version()

RESULTS_FILE = option("results")
OUTPUT = Option(PATH, "File to write; it appears when it is complete.", name="output")

RUN = [Inputs(), *given(*options(), *OPTIONS)]
STATUS = given(RESULTS_FILE)
ITEM_LOG = [Key(), *given(option("log_file"), option("log_layout"))]
EXPORT = [
    *given(RESULTS_FILE, replace(OUTPUT, shown="standard output")),
    SettingOption(
        Option(
            choice("jsonl", "csv"),
            "One JSON object a line, or comma-separated values.",
            name="format",
        ),
        required=True,
    ),
]
SCALE = [
    Inputs(),
    *given(
        option(
            "workers",
            kind=whole(1, MOST_WORKERS),
            help="The most workers to try.",
            default=lambda: 2 * usable_cores(),
            shown="twice the usable cores",
        ),
        Option(
            number(above=True),
            "How long to measure each number of threads and of workers.",
            default=2.0,
            name="seconds",
        ),
        Option(PATH, "Also draw the figures: a file that ends in .svg or .png.", name="chart"),
        option(
            "log_file",
            help="What the job logs meanwhile.",
            default=Path("logs", f"{SLUG}-scale.log"),
        ),
        option("start_method"),
    ),
]
TIMELINE = given(
    RESULTS_FILE,
    option("log_file", help="Not read any more; only kept from being overwritten."),
    replace(OUTPUT, help="Trace file for Perfetto."),
    Option(PATH, "Page for a browser.", name="html"),
)
