"""Items that fail with errors that are hard to name in one line."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any


class ManyError(Exception):
    def __str__(self) -> str:
        return "1 error\nin field x"


async def fail(n: int) -> None:
    raise ValueError(f"bad {n}")


async def fail_twice() -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fail(1))
        tasks.create_task(fail(2))


def items(inputs: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for key in ("group", "many", "note", "payload", "escape\x1b[2J"):
        yield key, (lambda: None) if key == "payload" else key


def work(key: str) -> None:
    if key == "group":
        asyncio.run(fail_twice())
    if key == "many":
        raise ManyError
    error = KeyError(key)
    error.add_note("\x1b]0;title\x07")
    raise error
