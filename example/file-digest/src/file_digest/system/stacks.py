"""The Python stack of a process that is asked for it, or is about to be killed, or crashes.

faulthandler writes it from a signal's handler in C, so it comes also where C code holds the GIL:
https://docs.python.org/3/library/faulthandler.html
"""

import faulthandler
import os
import re
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import util
from pathlib import Path
from typing import Any

from .files import NEW, duplicate

REQUEST: int | None = None
"""The signal that asks a process for its stack; none where there is no such signal."""
if sys.platform == "linux":
    REQUEST = signal.SIGRTMAX - 1  # few use it, and programs that do take the lowest or the last
elif sys.platform != "win32":
    REQUEST = signal.SIGUSR2
ANSWER_SECONDS = 0.5
"""Seconds that a worker may take to answer; one that is stopped never does."""
MOST_BYTES = 1 << 16
RUNS_ITEMS = "task_runner.py"
FRAME = re.compile(r'  File "(?P<file>.*)", line (\d+|\?\?\?) in ')


def file_of(name: str) -> str:
    """Return the path of the file for the stack of a process called ``name``."""
    return str(Path(util.get_temp_dir(), f"{name}.stack"))


def new_file(name: str) -> str:
    """Return the same, and remove what is there: a process of that name is about to start."""
    with suppress(OSError):
        Path(file_of(name)).unlink()
    return file_of(name)


def write_to(path: str) -> None:
    """Make this new process write its threads' stacks to a file when asked, and on a crash.

    The file appears once this process can be asked: before, the signal would end it.
    """
    with open(path + NEW, "ab") as file:
        descriptor = duplicate(file.fileno())
    faulthandler.enable(descriptor)
    if REQUEST is not None and sys.platform != "win32":
        faulthandler.register(REQUEST, descriptor)
    os.replace(path + NEW, path)


def with_stack(path: str, target: Callable[..., None], *args: Any) -> None:
    """Call ``target`` in a new process, which writes its stack when asked, if possible."""
    with suppress(OSError):
        write_to(path)
    target(*args)


def ask(pid: int, path: str) -> bool:
    """Ask a process for its stack, in the file of ``path``; False where that cannot be done."""
    if REQUEST is None:
        return False
    with suppress(FileNotFoundError, ProcessLookupError):
        os.truncate(path, 0)
        os.kill(pid, REQUEST)
        return True
    return False


def size_of(path: str) -> int:
    """Return how much a process has written of its stack, in bytes."""
    with suppress(OSError):
        return os.path.getsize(path)
    return 0


def read(path: str) -> str:
    """Return the stacks that a process wrote, innermost call first, and empty its file."""
    text = b""
    with suppress(OSError), open(path, "r+b") as file:
        text = file.read(MOST_BYTES)
        file.truncate(0)
    return text.decode("utf-8", "backslashreplace").strip()


def take(path: str) -> str:
    """Return the stack that a worker wrote, and remove its file.

    If possible only that of the thread that runs items, and without the service's frames.
    """
    text = read(path)
    with suppress(OSError):
        Path(path).unlink()
    blocks = text.split("\n\n")
    at_items = [block for block in blocks if RUNS_ITEMS in block]
    return "\n".join(_without_ours(block) for block in at_items or blocks)


def _without_ours(block: str) -> str:
    lines = block.split("\n")
    ours = (at for at, line in enumerate(lines) if RUNS_ITEMS in line and FRAME.match(line))
    return "\n".join(lines[: next(ours, len(lines))])
