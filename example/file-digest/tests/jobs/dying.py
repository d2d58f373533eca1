"""Forty items, of which one kills its worker and another fails."""

import os
from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    return ((f"item-{n}", n) for n in range(40))


def work(payload: int) -> int:
    if payload == 7:
        os.kill(os.getpid(), 9)  # SIGKILL; on Windows any number ends a process
    if payload == 9:
        raise ValueError("bad </script> luck")
    return payload
