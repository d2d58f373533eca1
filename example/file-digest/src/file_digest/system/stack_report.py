"""The Python stack of every process, in the log, when SIGUSR1 asks for it."""

import faulthandler
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from . import stacks
from .files import duplicate
from .requests import requests

log = logging.getLogger(__name__)

REPORT_SECONDS = 3.0
"""Seconds that a process may take to answer."""
LOOK_SECONDS = 0.1
MAIN, LISTENER = "main", "listener"
NO_ANSWER = "no answer within {:g} s: it is stopped, or has no stack to show"


class Asked(Protocol):
    """A process that was asked for its stack."""

    name: str
    pid: int

    def look(self) -> str:
        """Return its stack; empty as long as that may be incomplete."""


class AskedByFile:
    """A process of this machine, whose stack comes in a file."""

    def __init__(self, name: str, pid: int, *, ask: bool = True) -> None:
        """Ask it now, unless ``ask`` is false."""
        self.name, self.pid, self.path, self.size = name, pid, stacks.file_of(name), 0
        if ask and pid:
            stacks.ask(pid, self.path)

    def look(self) -> str:
        """Return its stack, once the file had the same size at two looks."""
        size, before = stacks.size_of(self.path), self.size
        self.size = size
        return stacks.read(self.path) if size and size == before else ""


class StackReport:
    """Asks all processes at a signal, and logs each answer when it has come."""

    def __init__(self, listener: Callable[[], int]) -> None:
        """Register main's own stack dump at the signal; ``listener`` returns the listener's pid.

        Main's comes from faulthandler, in C, before the signal's handler in Python gets its turn:
        so it shows the work that the signal interrupted.
        """
        self.listener, self.asked = listener, list[Asked]()
        self.ask_workers: Callable[[], Iterable[Asked]] = list
        """Asks the workers; set by ``Service.outcomes``."""
        self.look_at = self.deadline = 0.0
        requests.take_stacks()  # what came before main could show its own
        if sys.platform != "win32" and signal.getsignal(signal.SIGUSR1) == requests.note:
            with suppress(OSError), open(stacks.new_file(MAIN), "ab") as file:
                faulthandler.register(signal.SIGUSR1, duplicate(file.fileno()), chain=True)

    def look(self) -> None:
        """Ask all processes if a signal asked for it, and log their answers; call it often."""
        now = time.monotonic()
        if requests.take_stacks():
            main = AskedByFile(MAIN, os.getpid(), ask=False)
            self.asked = [main, AskedByFile(LISTENER, self.listener()), *self.ask_workers()]
            self.look_at, self.deadline = now + LOOK_SECONDS, now + REPORT_SECONDS
        elif self.asked and now >= self.look_at:
            self.look_at = now + LOOK_SECONDS
            self.asked = [one for one in self.asked if not self._log(one, late=now > self.deadline)]

    def _log(self, asked: Asked, *, late: bool) -> bool:
        """Log an answer, or that there is none in time; return whether something was logged."""
        text = asked.look() or (NO_ANSWER.format(REPORT_SECONDS) if late else "")
        if text:
            log.warning("stack of %s, pid %d:\n%s", asked.name, asked.pid, text)
        return bool(text)
