"""Convert any value to values that JSON can hold."""

import math
from collections.abc import Mapping
from typing import Any

from pythonjsonlogger.json import JsonEncoder

from ..system.text import text_of

DEEPEST = 30
"""Levels of containers within containers; deeper values become text."""

_known = JsonEncoder().default


def json_value(value: object, inside: tuple[int, ...] = ()) -> Any:
    """Return a value as strict JSON has it.

    NaN and the infinities become their names, an integer that Python does not write in decimals its
    hexadecimal text, keys become text, and a container within itself is shown as text.

    Args:
        value: Whatever it is.
        inside: The containers around it, by ``id``.
    """
    if value is None or type(value) in (str, bool):
        return value
    try:
        if isinstance(value, int | float | str):
            return _atom(value)
        if id(value) in inside or len(inside) == DEEPEST:
            return text_of(value)
        return _container(value, (*inside, id(value)))
    except Exception:  # the object's own code, which may raise anything
        return text_of(value)


def add_field(fields: dict[str, Any], name: object, value: object) -> None:
    """Add a field; one whose name is taken gets underscores behind it."""
    free = name if type(name) is str else text_of(name, str)
    while free in fields:
        free += "_"
    fields[free] = value


def _container(value: object, inside: tuple[int, ...]) -> Any:
    if isinstance(value, Mapping):
        fields: dict[str, Any] = {}
        for name, each in list(value.items()):
            add_field(fields, name, json_value(each, inside))
        return fields
    if isinstance(value, list | tuple | set | frozenset):
        return [json_value(each, inside) for each in list(value)]
    return json_value(_known(value), inside)


def _atom(value: float | str) -> int | float | str:
    """Return a value of the plain type that a subclass of it stands for."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        try:
            str(number := int(value))
        except ValueError:  # https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
            return hex(value)
        return number
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
