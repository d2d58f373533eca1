"""Cope with the limit of processes and threads, such as RLIMIT_NPROC: setrlimit(2)."""

import os
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from .errors import WorkersCannotStartError

if sys.platform != "win32":
    from multiprocessing import forkserver

ATTEMPTS = 5
BACK_OFF_SECONDS = 0.05
NO_MORE = (
    "no more processes or threads can be started: raise `ulimit -u`, or a container's limit of pids"
)
NO_FORK = 75
"""Exit code of a forkserver that cannot fork; a temporary failure: sysexits(3)."""
END_SECONDS = 0.2
"""Seconds to wait for that exit code."""

Started = TypeVar("Started")


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that no process or thread could be started."""
    cannot_fork = isinstance(error, BlockingIOError)  # EAGAIN: fork(2)
    return cannot_fork or (isinstance(error, RuntimeError) and "start new thread" in str(error))


def reason_for(error: BaseException) -> str:
    """Return why something could not be started, as one line."""
    return NO_MORE if is_exhausted(error) else f"{type(error).__name__}: {error}"


def start_with_retries(start: Callable[[], Started]) -> Started:
    """Start a process or thread that the run needs, with some attempts while the limit is reached.

    Raises:
        WorkersCannotStartError: The limit was still reached after ``ATTEMPTS``.
        OSError, RuntimeError: It failed for another reason.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return start()
        except (OSError, RuntimeError) as error:
            if not is_exhausted(error):
                raise
        time.sleep(BACK_OFF_SECONDS * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
    raise WorkersCannotStartError(NO_MORE)


def check_threads(count: int) -> None:
    """Make sure that ``count`` threads or processes can be started, by starting threads.

    Raises:
        RuntimeError: They cannot.
    """
    over = threading.Event()  # this process's own
    try:
        for _ in range(count):
            threading.Thread(target=over.wait, daemon=True).start()
    finally:
        over.set()


def forkserver_cannot_fork() -> bool:
    """Whether the forkserver ended because it could not fork; multiprocessing reaps it later."""
    if sys.platform != "win32" and hasattr(os, "waitid"):
        pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined] # noqa: SLF001
        deadline = time.monotonic() + END_SECONDS
        with suppress(ChildProcessError):
            while pid and time.monotonic() < deadline:
                if end := os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    return bool(end.si_status == NO_FORK)
                time.sleep(END_SECONDS / 20)
    return False
