"""Factorizes numbers: no files, no inputs, no options; all that a job must have."""

from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield the numbers up to the input, by default to 200."""
    for number in range(2, int(inputs[0]) if inputs else 200):
        yield f"number-{number}", number


def work(payload: int) -> list[int]:
    """Return the prime factors of a number."""
    factors, divisor = [], 2
    while payload > 1:
        while payload % divisor:
            divisor += 1
        factors.append(divisor)
        payload //= divisor
    return factors
