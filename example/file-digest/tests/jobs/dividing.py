"""One item that fails."""

from collections.abc import Sequence


def items(inputs: Sequence[str]) -> list[tuple[str, int]]:
    return [("a", 0)]


def work(payload: int) -> float:
    return 1 / payload
