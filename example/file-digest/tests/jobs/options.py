"""An item for each of its options, and one for each input; the inputs must be as many as said."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def items(inputs: Sequence[str], options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if int(options.get("inputs", len(inputs))) != len(inputs):
        raise ValueError(f"inputs: {options['inputs']!r} is not how many there are")
    yield from options.items()


def count(inputs: Sequence[str], options: Mapping[str, Any]) -> int:
    return len(options)


def work(payload: Any) -> Any:
    return payload
