"""Turn texts of the command line, the environment and the file into values."""

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import click

from ..settings import Kind, Share
from ..system.files import meant_by

SIZES = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
AGES = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def type_of(kind: Kind) -> Any:
    """Return what click calls a type."""
    match kind.name:
        case "flag":
            return click.BOOL
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
        if not math.isfinite(result := super().convert(value, param, ctx)):
            self.fail(f"{value} is not finite", param, ctx)
        return result


def _reading(reader: Callable[[str], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        try:
            return reader(str(value))
        except (TypeError, ValueError) as error:
            raise click.BadParameter(f"{value}: {error}") from error

    return read


def _with_unit(text: str, units: Mapping[str, int]) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]?)", text.strip().lower())
    if not found or found[2] not in units:
        raise ValueError("no such amount")
    return round(float(found[1]) * units[found[2]])


def _percentage(text: str) -> float:
    if not 0 <= (result := float(text.removesuffix("%"))) <= 100:
        raise ValueError("not between 0 and 100")
    return result


def _share(text: str) -> Share:
    if text.endswith("%"):
        return Share(_percentage(text), is_percentage=True)
    if not text.isdecimal() or not int(text):
        raise ValueError("neither")
    return Share(int(text), is_percentage=False)


def _layout(text: str) -> str:
    """Try a layout on a record; a field of the owner's own, which only some have, is fine."""
    from ..log.formats import check_layout  # noqa: PLC0415 - not for the help

    check_layout(text)
    return text


READERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "layout": _layout,
    "path": meant_by,
    "size": partial(_with_unit, units=SIZES),
    "age": partial(_with_unit, units=AGES),
    "percentage": _percentage,
    "share": _share,
}
