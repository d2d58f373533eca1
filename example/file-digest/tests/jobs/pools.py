"""So many items; for each there is a Pool of its own, in items() or in work()."""

import multiprocessing
from collections.abc import Iterator, Sequence


def pool(method: str) -> list[int]:
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(abs, range(5))


def items(inputs: Sequence[str]) -> Iterator[tuple[str, list[int] | str]]:
    where, method, count = inputs
    for number in range(int(count)):
        yield f"item-{number}", pool(method) if where == "items" else method


def work(payload: list[int] | str) -> list[int]:
    return payload if isinstance(payload, list) else pool(payload)
