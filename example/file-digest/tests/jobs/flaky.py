"""A good item, and one that fails until the file ``mended`` is there."""

from collections.abc import Iterator, Sequence
from pathlib import Path


def items(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((name, name) for name in ("good", "bad"))


def work(payload: str) -> str:
    with Path(f"ran-{payload}").open("a") as file:
        file.write("x")
    if payload == "bad" and not Path("mended").exists():
        raise ValueError("not yet")
    return payload
