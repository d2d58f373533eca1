"""Main's clock, which leaves out the time during which main itself stood still; and back-off."""

import logging
import random
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

GAP_SECONDS = 1.5
"""Longest time between two readings by main's loop; a longer one is a gap."""

FIRST_BACK_OFF, MOST_BACK_OFF = 1.0, 60.0
"""Seconds until code of the owner that raised is called again: first, and at most."""


def back_off(failures: int) -> float:
    """Return the seconds to wait, with jitter, after ``failures`` failures before this one."""
    delay = min(FIRST_BACK_OFF * 2.0 ** min(failures, 30), MOST_BACK_OFF)
    return delay * random.uniform(0.5, 1.0)  # noqa: S311 - jitter


class Clock:
    """Counts the seconds during which main runs.

    After Ctrl-Z and ``fg``, SIGSTOP and SIGCONT, or a machine that was suspended, no item has used
    up its time limit, no worker its time to start, and no grace period is over.
    """

    def __init__(self, read: Callable[[], float] = time.monotonic) -> None:
        """Read the time from ``read``."""
        self.read = read
        self.latest = read()
        self.stood = 0.0
        """Seconds of all gaps so far: the difference between ``read`` and this clock."""
        self.lock = threading.Lock()  # this process's own: a Pool's thread looks at the clock, too

    def now(self) -> float:
        """Return the time without the gaps, which are found between two calls of this."""
        with self.lock:
            read, latest = self.read(), self.latest
            self.latest = read
            if (gap := read - latest) > GAP_SECONDS:
                self.stood += gap
            now = read - self.stood
        if gap > GAP_SECONDS:
            log.warning("main was held up for %.1f s, which no time limit counts", gap)
        return now
