"""A source that keeps to its thread: a database cursor, and asyncio."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    names = [threading.current_thread().name]
    asyncio.run(asyncio.sleep(0))
    cursor = sqlite3.connect(":memory:").execute("VALUES (1), (2), (3)")
    return ((str(n), [*names, threading.current_thread().name]) for (n,) in cursor)


def work(payload: list[str]) -> list[str]:
    return payload
