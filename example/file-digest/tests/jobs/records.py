"""Each line of the file that the input names is an item, ``name: code``, and logs a record."""

import atexit
import enum
import logging
import multiprocessing.util
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class UnspeakableError(Unshowable, Exception):
    pass


class Recursive(dict[str, str]):
    def __str__(self) -> str:
        return str(self)


class Colour(enum.IntEnum):
    RED = 1


class Locked(str):
    __slots__ = ()

    def __reduce__(self) -> str:
        raise TypeError("cannot pickle a lock")


def fail(error: BaseException) -> None:
    try:
        raise error  # noqa: TRY301 - what is logged is where it was raised
    except BaseException:
        log.exception("it failed")


def in_thread(function: Callable[[], Any]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def in_child(function: Callable[[], Any]) -> None:
    if sys.platform != "win32":
        if not (child := os.fork()):
            function()
            os._exit(0)
        os.waitpid(child, 0)


def at_exit(function: Callable[[], Any]) -> None:
    multiprocessing.util.Finalize(None, function, exitpriority=10)


def items(inputs: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in Path(inputs[0]).read_text(encoding="utf-8").split("\n")[:-1]:
        name, _, code = line.partition(": ")
        yield name, code


def work(code: str) -> None:
    exec(code, globals())
