"""What a text on the command line, in the environment or in the file stands for."""

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


class Number(click.FloatRange):
    """A finite number."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number, or fail."""
        if not math.isfinite(result := super().convert(value, param, ctx)):
            self.fail(f"{value} is not finite", param, ctx)
        return result


class Whole(click.IntRange):
    """A whole number, or one of some words in its place."""

    def __init__(self, least: int | None, most: int | None, words: tuple[str, ...]) -> None:
        """Take numbers from ``least`` to ``most``, and ``words``."""
        super().__init__(least, most)
        self.words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number or the word, or fail."""
        return value if value in self.words else super().convert(value, param, ctx)


def with_unit(text: str, units: Mapping[str, int]) -> int:
    """Return a number that may have a unit: ``500M``, ``1.5G``; ``30d``.

    Raises:
        ValueError: It is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]?)", text.strip().lower())
    if not found or found[2] not in units:
        raise ValueError("no such amount")
    return round(float(found[1]) * units[found[2]])


def percentage(text: str) -> float:
    """Return a percentage, written with or without its sign.

    Raises:
        ValueError: It is none between 0 and 100.
    """
    result = float(text.removesuffix("%"))
    if not 0 <= result <= 100:
        raise ValueError("not between 0 and 100")
    return result


def share(text: str) -> Share:
    """Return so many, or so many percent.

    Raises:
        ValueError: It is neither.
    """
    if text.endswith("%"):
        return Share(percentage(text), is_percentage=True)
    if not text.isdecimal() or not int(text):
        raise ValueError("neither")
    return Share(int(text), is_percentage=False)


def layout(text: str) -> str:
    """Try a layout on a record; a field of the owner's own, which only some have, is fine.

    Raises:
        TypeError, ValueError: It fits none.
    """
    from ..log.formats import check_layout  # noqa: PLC0415 - not for the help

    check_layout(text)
    return text


READERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "texts": str,
    "layout": layout,
    "path": meant_by,
    "size": partial(with_unit, units=SIZES),
    "age": partial(with_unit, units=AGES),
    "percentage": percentage,
    "share": share,
}


def type_of(kind: Kind) -> Any:
    """Return what click calls a type."""
    match kind.name:
        case "flag":
            return click.BOOL
        case "choice":
            return click.Choice(kind.words, case_sensitive=False)
        case "number":
            return Number(kind.least, kind.most, min_open=kind.above)
        case "whole":
            return Whole(kind.least, kind.most, kind.words)
    return _reading(READERS[kind.name])


def _reading(reader: Callable[[str], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        try:
            return reader(str(value))
        except (TypeError, ValueError) as error:
            raise click.BadParameter(f"{value}: {error}") from error

    return read
