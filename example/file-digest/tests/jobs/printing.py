"""Prints names in any character, to both streams, from items() and from work(); one item fails."""

import sys
from collections.abc import Iterator, Sequence

NAMES = ["plain", "é ☕ 漢", "no \udcff text", "\x1b[2J\x1b]0;title\x07", "exe.\u202egpj", "bad"]


def items(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in NAMES:
        print("reading", name)
        print("reading", name, file=sys.stderr, flush=True)
        yield name, name


def work(name: str) -> int:
    print("doing", name)
    print("doing", name, file=sys.stderr, flush=True)
    if name == "bad":
        raise ValueError("bad \u20ac \x1b[31m")
    return len(name)
