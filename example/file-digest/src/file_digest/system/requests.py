"""Requests by signals while main works: more workers or fewer, and stacks."""

import signal
import sys
import time
from collections import deque
from types import FrameType

from .inheritance import handle

RESIZE: dict[int, int] = {}
"""The signals that ask for another number of workers, and by how many."""
STACKS: int | None = None
"""The signal that asks for every process's stack."""
if sys.platform != "win32":
    RESIZE.update({signal.SIGTTIN: 1, signal.SIGTTOU: -1})
    STACKS = signal.SIGUSR1
FLOOD, FLOOD_SECONDS = 100, 1.0
"""A number of signals, and seconds: as many in that time come from a terminal. It sends them to a
background job that reads there, or writes after ``stty tostop``, until the job stops."""
QUIET_SECONDS = 0.05
"""Seconds without a further signal before one counts: it may be the first of a flood."""


class Requests:
    """The pending requests."""

    def __init__(self) -> None:
        """Begin without any."""
        self.resizes: deque[tuple[int, float]] = deque(maxlen=FLOOD)
        """Change of the number of workers, and time of the request by ``time.monotonic``."""
        self.stacks = self.flooded = False

    def note(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal; in a flood restore its default, so that it stops this process."""
        if number == STACKS:
            self.stacks = True
            return
        self.resizes.append((RESIZE[number], now := time.monotonic()))
        if len(self.resizes) == FLOOD and now - self.resizes[0][1] < FLOOD_SECONDS:
            # Here and not in main's loop: what makes it may be a write of that loop, which Python
            # repeats after each signal, https://peps.python.org/pep-0475/
            signal.signal(number, signal.SIG_DFL)
            self.flooded = True

    def take_resize(self) -> int:
        """Return the wanted change of the number of workers since the last call."""
        if not self.resizes or time.monotonic() - self.resizes[-1][1] < QUIET_SECONDS:
            return 0
        change = sum(self.resizes.popleft()[0] for _ in range(len(self.resizes)))
        if self.flooded:  # the terminal stopped this process, and it goes on
            self.flooded, change = False, 0
            self.listen()
        return change

    def take_stacks(self) -> bool:
        """Return whether stacks are wanted since the last call."""
        asked, self.stacks = self.stacks, False
        return asked

    def listen(self) -> None:
        """Install the handler, except for ignored signals."""
        for number in (*RESIZE, *([STACKS] if STACKS else [])):
            handle(number, self.note)


requests = Requests()
"""Main's requests; those that come while it starts are handled once it works."""
