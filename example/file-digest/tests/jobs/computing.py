"""Items without end that keep a core busy."""

from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    return ((f"item-{n}", 20_000) for n in range(100_000))


def work(payload: int) -> int:
    return sum(number & 1 for number in range(payload))
