"""Settings: each is declared once, and everything a person can say of it comes from that."""

from typing import Any

import click
import pytest

from file_digest.cli import config
from file_digest.cli.app import cli
from file_digest.cli.options import Command, SettingOption
from file_digest.settings import (
    AGE,
    FLAG,
    GROUPS,
    LEVELS_BY_LOGGER,
    LIMITS,
    SHARE,
    SIZE,
    Kind,
    Option,
    Settings,
    Share,
    choice,
    number,
    options,
    whole,
)

GOOD: list[tuple[Kind, str, Any]] = [
    (whole(1), "7", 7),
    (whole(1, None, "auto"), "auto", "auto"),
    (number(), "1.5", 1.5),
    (choice("text", "json"), "JSON", "json"),
    (SIZE, "500M", 500 * 2**20),
    (SIZE, "1.5g", 3 * 2**29),
    (SIZE, "1.5GB", 3 * 2**29),
    (SIZE, "500 MiB", 500 * 2**20),
    (SIZE, "4096", 4096),
    (SIZE, "4096B", 4096),
    (AGE, "30d", 30 * 86_400),
    (AGE, "12h", 43_200),
    (AGE, "1w", 604_800),
    (SHARE, "10", Share(10, is_percentage=False)),
    (SHARE, "5%", Share(5, is_percentage=True)),
    (SHARE, "2.5%", Share(2.5, is_percentage=True)),
    (LEVELS_BY_LOGGER, "a=WARNING, b.c = debug", {"a": "WARNING", "b.c": "DEBUG"}),
]
BAD: list[tuple[Kind, str]] = [
    (whole(1, 9), "10"),
    (whole(1, None, "auto"), "often"),
    (number(above=True), "0"),
    (number(), "inf"),
    (SIZE, "1X"),
    (SIZE, "-1"),
    (SIZE, "G"),
    (SIZE, "1BB"),
    (AGE, "30y"),
    (SHARE, "5.5"),
    (SHARE, "101%"),
    (SHARE, "nan%"),
    (LEVELS_BY_LOGGER, "a=LOUD"),
    (LEVELS_BY_LOGGER, "=INFO"),
    (LEVELS_BY_LOGGER, "a..b=INFO"),
    (LEVELS_BY_LOGGER, "a=INFO,"),
    (LEVELS_BY_LOGGER, "INFO"),
    (LEVELS_BY_LOGGER, "root=INFO"),
]


def _read(kind: Kind, text: str) -> Any:
    """Give a text to a command that has one option of this kind."""
    option = SettingOption("one", Option(kind, "A setting."))
    command = Command("run", params=[option], callback=lambda one: one)
    return command.main(["--one", text], standalone_mode=False)


@pytest.mark.parametrize(("kind", "text", "value"), GOOD)
def test_a_text_becomes_a_value(kind: Kind, text: str, value: object) -> None:
    """Units, percentages and words in place of a number are understood."""
    assert _read(kind, text) == value


@pytest.mark.parametrize(("kind", "text"), BAD)
def test_what_is_not_of_a_kind_is_refused(kind: Kind, text: str) -> None:
    """The line names the option, where it came from, the value and what is allowed."""
    with pytest.raises(click.ClickException) as refused:
        _read(kind, text)
    line = config.one_line(refused.value)
    assert line.startswith("--one (from the command line): ")
    assert text in line
    assert line.endswith(f"give {kind.allowed}")


def test_every_setting_has_an_option() -> None:
    """Each field can be given; each option of ``run`` is in a group of its help."""
    fields = set(Settings.__dataclass_fields__) - {"engine"}
    assert set(options()) == fields
    assert all(option.group in GROUPS for option in options().values())


def test_help_shows_settings_in_groups() -> None:
    """In their order, each with its options."""
    command = cli.commands["run"]
    text = command.get_help(click.Context(command, info_name="run"))
    at = [text.index(f"\n{group}:\n") for group in GROUPS]
    assert at == sorted(at)
    assert text.index("--max-attempts") > text.index(LIMITS)


def test_a_flag_that_is_not_off_can_be_turned_off() -> None:
    """It has a second name that says so."""
    option = SettingOption("tell", Option(FLAG, "A setting.", default=True))
    command = Command("run", params=[option], callback=lambda tell: tell)
    assert command.main([], standalone_mode=False) is True
    assert command.main(["--no-tell"], standalone_mode=False) is False
