"""The items that the journals of tests/support/old_journals.py hold in part."""

from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((name, name) for name in ("one", "two", "three"))


def work(payload: str) -> str:
    return payload
