"""The Python stack of a worker that is about to be killed, or that crashes.

faulthandler writes it from a signal's handler in C, so it comes also where C code holds the GIL:
https://docs.python.org/3/library/faulthandler.html
"""

import faulthandler
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path

from .files import duplicate

REQUEST: int | None = None
"""The signal that asks a worker for its stack; none where there is no such signal."""
if sys.platform == "linux":
    REQUEST = signal.SIGRTMAX - 1  # few use it, and programs that do take the lowest or the last
elif sys.platform != "win32":
    REQUEST = signal.SIGUSR2
ANSWER_SECONDS = 0.5
"""How long a worker may take to answer; one that is stopped never does."""
MOST_BYTES = 1 << 16
RUNS_ITEMS = "task_runner.py"
FRAME = re.compile(r'  File "(?P<file>.*)", line (\d+|\?\?\?) in ')


def write_to(path: str) -> None:
    """In a worker: write the stack of each thread to a file when asked, and on a crash."""
    with open(path, "ab") as file:
        descriptor = duplicate(file.fileno())
    faulthandler.enable(descriptor)
    if REQUEST is not None and sys.platform != "win32":
        faulthandler.register(REQUEST, descriptor)


def ask(pid: int) -> bool:
    """Ask a worker for its stack; False where that cannot be done."""
    if REQUEST is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, REQUEST)
        return True
    return False


def is_there(path: str) -> bool:
    """Whether a worker has written its stack."""
    with suppress(OSError):
        return os.path.getsize(path) > 0
    return False


def take(path: str) -> str:
    """Return the stack that a worker wrote, innermost call first, and remove its file.

    Only of the thread that runs items, where that can be told, and without the service's frames.
    """
    text = b""
    with suppress(OSError), open(path, "rb") as file:
        text = file.read(MOST_BYTES)
    with suppress(OSError):
        Path(path).unlink()
    blocks = text.decode("utf-8", "backslashreplace").strip().split("\n\n")
    at_items = [block for block in blocks if RUNS_ITEMS in block]
    return "\n".join(_without_ours(block) for block in at_items or blocks)


def _without_ours(block: str) -> str:
    lines = block.split("\n")
    ours = (at for at, line in enumerate(lines) if RUNS_ITEMS in line and FRAME.match(line))
    return "\n".join(lines[: next(ours, len(lines))])
