"""Registers for the end of main and of each worker, and notes what of it has run.

The inputs are how many items there are, and code for main to execute when the job is imported. Each
item executes the file ``behaviour``.
"""

import asyncio
import atexit
import multiprocessing
import os
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

IN_MAIN = multiprocessing.parent_process() is None
registered: list[Any] = []


class Thing:
    pass


def note(what: str) -> None:
    with open(f"{what}-{os.getpid()}", "a") as file:
        file.write("x")


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    return ((f"{number}", number) for number in range(int(inputs[0])))


def work(number: int) -> None:
    if not registered:
        registered.append(Thing())
        weakref.finalize(registered[0], note, "worker-finalizer")
        atexit.register(note, "worker-hook")
    note("worked")
    time.sleep(0.02)
    exec(os.environ.get("IN_WORK", ""), globals())


if IN_MAIN:
    atexit.register(note, "main-hook")
    finalized = weakref.finalize(Thing, note, "main-finalizer")
exec(os.environ.get("AT_IMPORT", ""), globals())
