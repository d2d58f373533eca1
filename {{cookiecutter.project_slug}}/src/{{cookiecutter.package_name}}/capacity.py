"""When no more processes or threads are to be had, as at RLIMIT_NPROC: setrlimit(2)."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from .messages import WorkersCannotStartError

ATTEMPTS = 5
BACK_OFF_SECONDS = 0.05
NO_MORE = (
    "no more processes or threads are to be had: raise `ulimit -u`, or a container's limit of pids"
)
NO_FORK = 75
"""Exit code of a forkserver that cannot fork; a temporary failure: sysexits(3)."""

Started = TypeVar("Started")


def is_exhausted(error: BaseException) -> bool:
    """Whether an error says that no process or thread could be started."""
    cannot_fork = isinstance(error, BlockingIOError)  # EAGAIN: fork(2)
    return cannot_fork or (isinstance(error, RuntimeError) and "start new thread" in str(error))


def reason_for(error: BaseException) -> str:
    """Return why something could not be started, as one line."""
    return NO_MORE if is_exhausted(error) else f"{type(error).__name__}: {error}"


def patiently(start: Callable[[], Started]) -> Started:
    """Start something that the run cannot do without; others may leave room for it in a while.

    Raises:
        WorkersCannotStartError: They did not, in spite of back-off.
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
