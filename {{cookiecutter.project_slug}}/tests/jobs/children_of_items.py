"""A source that has children, of the kind and by the start method that the inputs name."""

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

assert sys.platform != "win32"


def nap(number: int) -> int:
    time.sleep(0.05)
    return number


def fork(method: str) -> Iterator[int]:
    yield from range(2)
    while len(list(Path().glob("alive-*"))) < 2:
        time.sleep(0.01)
    context: Any = multiprocessing.get_context(method)
    context.Process(target=time.sleep, args=(1_000,)).start()
    os.fork()
    time.sleep(1_000)


def imported(method: str) -> Iterator[int]:
    del method
    yield from range(2)
    time.sleep(1_000)


def executor(method: str) -> Iterator[int]:
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        yield from pool.map(nap, range(100_000))


def items(inputs: Sequence[str]) -> Iterator[tuple[str, int]]:
    kind, method = inputs
    for number in {"fork": fork, "import": imported, "executor": executor}[kind](method):
        yield f"item-{number}", number
        Path("begun").touch()


def work(number: int) -> None:
    Path(f"alive-{number}").touch()
    time.sleep(0.1 if number > 1 else 1)


if (at_import := os.environ.get("AT_IMPORT")) and not multiprocessing.parent_process():
    methods: Any = multiprocessing.get_context(at_import)
    methods.Process(target=time.sleep, args=(1_000,)).start()
