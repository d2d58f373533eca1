"""The fields of results as columns of their own."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from ..items.messages import Outcome
from .keys import storable

Way = tuple[str, ...]
"""The names that lead to a field, from the outermost object inwards."""
AT = Outcome._fields.index("result")


def flat_rows(first: Iterable[Outcome], second: Iterable[Outcome]) -> Iterator[list[Any]]:
    """Yield a header, then a row for each outcome; in memory are the columns' names alone.

    Args:
        first: All outcomes, which are looked through for their fields.
        second: The same once more, to be written.
    """
    ways = list(dict.fromkeys(way for outcome in first for way in _fields(outcome.result)))
    names = [storable(".".join(("result", *way))) for way in ways]
    yield [*Outcome._fields[:AT], *names, *Outcome._fields[AT + 1 :]]
    for outcome in second:
        fields = _fields(outcome.result)
        cells = [_cell(fields.get(way)) for way in ways]
        yield [*outcome[:AT], *cells, *outcome[AT + 1 :]]


def _fields(result: str | None) -> dict[Way, Any]:
    """Return a result's fields; what is no object is one field without a name."""
    if result is None:
        return {}
    try:
        return dict(_walk(json.loads(result), ()))
    except (ValueError, RecursionError):  # an integer of too many digits, too deep for Python
        return {(): result}


def _walk(value: Any, way: Way) -> Iterator[tuple[Way, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _walk(inner, (*way, name))
    else:
        yield way, value


def _cell(value: Any) -> Any:
    """Return what is written: texts and numbers as they are, all else as JSON."""
    if isinstance(value, str):
        return storable(value)
    return json.dumps(value) if isinstance(value, (bool, list, dict)) else value
