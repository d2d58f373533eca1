"""So many items that execute the first input; each lifespan leaves notes of its place."""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parents[2]


def note(*words: object) -> None:
    with (FOLDER / "notes").open("a") as file:
        file.write(f"{' '.join(map(str, words))}\n")


def await_gate() -> None:
    while not (FOLDER / "gate").exists():
        time.sleep(0.01)


def hold_the_gil() -> None:
    re.match(r"(a+)+$", "a" * 64 + "b")


def items(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for number in range(int(inputs[1])):
        yield f"item-{number}", inputs[0]


def work(payload: str, index: int) -> int:
    note("began", index)
    exec(payload)
    return index


@contextmanager
def lifespan(index: int) -> Iterator[int]:
    note("up", index)
    yield index
    note("down", index)
