"""So many items; each returns its number."""

from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    return ((f"item-{number}", number) for number in range(int(inputs[0])))


def work(payload: int) -> int:
    return payload
