"""So many items; each returns a text of so many characters."""

from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    return ((f"item-{number}", int(inputs[1])) for number in range(int(inputs[0])))


def work(payload: int) -> str:
    return "x" * payload
