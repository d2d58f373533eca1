"""Turn texts of the command line, the environment and the file into values."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from ..settings import LEVELS, Kind, Share
from ..system.files import STDOUT, meant_by

SIZES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
AGES = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def type_of(kind: Kind) -> Any:
    """Return click's type for a kind of value."""
    match kind.name:
        case "flag":
            return click.BOOL
        case "job_option":
            return click.UNPROCESSED
        case "choice":
            return click.Choice(kind.words, case_sensitive=False)
        case "whole":
            return click.IntRange(kind.least, kind.most)
        case "number":
            return Number(kind.least, kind.most, min_open=kind.above)
    return _reading(READERS[kind.name])


class Number(click.FloatRange):
    """A finite number."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or fail."""
        result: float = super().convert(value, param, ctx)
        if not math.isfinite(result):
            self.fail(f"{value} is not finite", param, ctx)
        return result


def _reading(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        try:
            return reader(value if isinstance(value, dict) else str(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise click.BadParameter(f"{value}: {error}") from error

    return read


def _with_unit(text: str, units: Mapping[str, int]) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]?)", text.strip().lower())
    if not found or found[2] not in units:
        raise ValueError("not such an amount")
    return round(float(found[1]) * units[found[2]])


def _size(text: str) -> int:
    number = re.sub("i?b$", "", text.strip().lower())  # of 1.5GB, 1.5GiB, 100B
    if not (result := _with_unit(number, SIZES)):
        raise ValueError("not above 0")
    return result


def _percentage(text: str) -> float:
    if not 0 <= (result := float(text.removesuffix("%"))) <= 100:
        raise ValueError("not between 0 and 100")
    return result


def _share(text: str) -> Share:
    if text.endswith("%"):
        return Share(_percentage(text), is_percentage=True)
    if not text.isdecimal() or not int(text):
        raise ValueError("neither of these")
    return Share(int(text), is_percentage=False)


def _layout(text: str) -> str:
    """Try a layout on a record; a field of the owner's own, which only some have, is fine."""
    from ..log.formats import check_layout  # noqa: PLC0415 - not for the help

    check_layout(text)
    return text


def _log_file(text: str) -> Path:
    """Return where the log goes.

    Raises:
        ValueError: See ``meant_by``.
    """
    return STDOUT if text == str(STDOUT) else meant_by(text)


def _levels(given: str | dict[str, Any]) -> dict[str, str]:
    """Return levels by logger, of ``a=INFO,b.c=DEBUG`` or of a table.

    Raises:
        ValueError: A level or a logger's name is not valid.
    """
    pairs: Any = _flat(given) if isinstance(given, dict) else _split(given)
    found = {name.strip(): str(level).strip().upper() for name, level in pairs}
    for name, level in found.items():
        if not all(name.split(".")):
            raise ValueError(f"{name!r} is not a logger's name")
        if name == "root":
            raise ValueError("the root logger's level is --log-level")
        if level not in LEVELS:
            raise ValueError(f"{name} has no level {level!r}")
    return found


def _flat(table: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a table's values; ``a.b = ...`` without quotes is a table in a table."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value


def _split(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split(","):
        name, _, level = part.rpartition("=")
        yield name, level


READERS: dict[str, Callable[[Any], Any]] = {
    "text": str,
    "layout": _layout,
    "path": meant_by,
    "log_file": _log_file,
    "size": _size,
    "age": partial(_with_unit, units=AGES),
    "share": _share,
    "levels": _levels,
}
