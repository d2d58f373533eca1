"""Inheritance of signals and descriptors: by main from its starter, by children from main.

A fork in main, by ``items()`` or a library, makes a copy of it: with handlers that would swallow
the SIGTERM of ``Pool.terminate``, and with the ends of pipes by which others learn that main is
gone. The copy gives up both before anything else happens in it.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Protocol, TypeVar
from weakref import WeakSet

Handler = Callable[[int, FrameType | None], None]


class Closable(Protocol):
    """A socket or a connection."""

    def close(self) -> None:
        """Close it."""


End = TypeVar("End", bound=Closable)

MAINS_SIGNALS = {signal.SIGINT, signal.SIGTERM}
"""Signals that main handles; processes that main starts have Python's defaults for them."""
if sys.platform != "win32":
    MAINS_SIGNALS |= {signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1}
    SIGKILL = signal.SIGKILL
else:
    SIGKILL = signal.SIGTERM  # os.kill ends a process by TerminateProcess for any signal
IGNORED = {number for number in MAINS_SIGNALS if signal.getsignal(number) == signal.SIG_IGN}
"""Signals that were ignored at the start, as by nohup and a script's ``&``: they stay ignored."""


class Forks:
    """The hooks around every fork of main."""

    def __init__(self) -> None:
        """Do nothing until main has something to keep from its children."""
        self.watched = self.forked = False
        self.handled: set[int] = set()
        self.ends: WeakSet[Closable] = WeakSet()
        self.lock = threading.RLock()
        """Main's own: held while a thread forks, or makes ends that a child has to close."""
        self.mask: set[int] = set()

    def watch(self) -> None:
        """Begin, once."""
        if sys.platform != "win32" and not self.watched:
            self.watched = True
            os.register_at_fork(
                before=self.prepare,
                after_in_parent=self.go_on,
                after_in_child=self.begin_child,
            )

    def prepare(self) -> None:
        """Keep signals from a child until it has handlers of its own."""
        self.lock.acquire()
        if sys.platform != "win32":
            self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    def go_on(self) -> None:
        """Leave main as it was."""
        mask = self.mask
        self.lock.release()
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def begin_child(self) -> None:
        """Drop main's handlers and ends; a child's own children then find nothing to drop."""
        self.forked = True
        if self.handled:
            signal.set_wakeup_fd(-1)
        for number in self.handled:
            signal.signal(number, _default(number))
        for end in list(self.ends):
            with suppress(OSError):
                end.close()
        self.handled.clear()
        self.ends.clear()
        self.go_on()


_forks = Forks()


def handle(number: int, handler: Handler) -> None:
    """Handle a signal in main, and not in its children, unless it was ignored from the start."""
    if number not in IGNORED:
        _forks.watch()
        _forks.handled.add(number)
        signal.signal(number, handler)


def open_pair(make: Callable[[], tuple[End, End]]) -> tuple[End, End]:
    """Make a pair of connected ends; a process that main forks closes the first."""
    _forks.watch()
    with _forks.lock:
        ends = make()
        _forks.ends.add(ends[0])
    return ends


def mark_as_forked() -> None:
    """Make ``was_forked`` true in the children of a forkserver that has imported the job."""
    _forks.forked = True


def was_forked() -> bool:
    """Whether this process is a fork, which has the modules and hooks of its parent."""
    return _forks.forked


def reset_sigchld() -> None:
    """Let the kernel keep how children ended, which it does not where SIGCHLD is ignored, wait(2).

    Whoever started main may have ignored it, a shell's ``trap '' CHLD`` for example, or the job.
    """
    if sys.platform != "win32" and signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def survive_readers() -> None:
    """Ignore SIGPIPE, as Python does, also where the job has had it end the process.

    Many a script does, whose output goes to head. Here a worker or a screen that is gone would end
    main, and a screen each worker that prints.
    """
    if sys.platform != "win32" and signal.getsignal(signal.SIGPIPE) == signal.SIG_DFL:
        with suppress(ValueError):  # in dask's worker that is a thread, where the job could not
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def lead_session() -> None:
    """Lead a session of this new process's own, and unblock the signals that main blocked.

    A terminal's Ctrl-C, ``uv run`` and timeout(1) signal the processes of main's group. What came
    from them before is dropped: to ignore a signal discards it, see sigaction(2).
    """
    if sys.platform != "win32":
        with suppress(PermissionError):  # it leads one
            os.setsid()
        for number in MAINS_SIGNALS:
            if signal.signal(number, signal.SIG_IGN) != signal.SIG_IGN:
                signal.signal(number, _default(number))  # not what asyncio, say, has put there
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _default(number: int) -> Handler | signal.Handlers:
    return signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
