"""Tie processes to main: workers, and what they started, end with it, however main ends."""

import os
import signal
import sys
import threading
from functools import cache, partial
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Any

from . import streams
from .inheritance import MAINS_SIGNALS, SIGKILL, lead_session, open_pair

if sys.platform != "win32":
    import fcntl
    from multiprocessing import forkserver

HAS_LIFELINE_SIGNALS = sys.platform == "linux" and os.path.exists("/proc/self/fd")


class Lifeline:
    """A pipe that nothing is ever written to: it ends when main does, however main ends."""

    def __init__(self) -> None:
        """Open both ends; main's is closed in all that main forks."""
        self.mains_end, self.end = open_pair(_pipe)

    def close(self) -> None:
        """Close both ends: processes that still follow main are killed."""
        self.mains_end.close()
        self.end.close()


def follow_main(lifeline: Connection) -> None:
    """Tie this new worker, and everything that it starts, to the life of main.

    It leads a session, and so a group of processes, which main's death and ``processes.kill`` end
    as a whole; a child that has to outlive it calls setsid. Signal handlers are Python's defaults.
    """
    streams.protect(streams.HURRY_SECONDS)
    _leave_main()
    if sys.platform == "linux" and HAS_LIFELINE_SIGNALS:
        # The kernel does it, so a process that is stopped or holds the GIL in C code ends as well.
        _have_kernel_send(SIGKILL, lifeline, -os.getpgrp())
    else:
        threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()


def outlive_main(lifeline: Connection) -> None:
    """Make this new process, the listener, ignore main's signals and outlive main by a moment.

    Main's end continues a listener that is stopped, or it would stay for ever.
    """
    streams.protect(streams.HURRY_SECONDS)
    while _ties:
        os.close(_ties.pop())
    if sys.platform == "linux" and HAS_LIFELINE_SIGNALS:
        _have_kernel_send(signal.SIGCONT, lifeline, os.getpid())
        if forkservers := _forkservers_group():
            # What items() started through main's forkserver ends with main, too.
            _have_kernel_send(SIGKILL, lifeline, -forkservers)
    _leave_main()
    for number in MAINS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def empty_standard_input() -> None:
    """Replace standard input by /dev/null: only main reads its own."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.dup2(descriptor, 0)
    if descriptor:
        os.close(descriptor)
    os.set_inheritable(0, True)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good


_ties: list[int] = []
"""Descriptors by which a process that main forked ends with main."""
_mains_ends: list[Connection] = []
"""Main's end of the pipe that those descriptors read; only main's end closes it."""


@cache
def tie_forked_children() -> None:
    """Tie what the job forks in main to the life of main; call it before the job is imported.

    Excepted is what leaves main's group of processes, and every system but Linux.
    """
    if sys.platform == "linux" and HAS_LIFELINE_SIGNALS:
        mains_end, end = open_pair(_pipe)
        _mains_ends.append(mains_end)
        os.register_at_fork(after_in_child=partial(_tie, end, os.getpgrp()))


def _pipe() -> tuple[Connection, Connection]:
    ends: tuple[Any, Any] = connection.Pipe(duplex=False)  # on Windows a PipeConnection
    return ends[1], ends[0]


def _leave_main() -> None:
    lead_session()
    empty_standard_input()
    _leave_mains_forkserver()


def _leave_mains_forkserver() -> None:
    """Forget main's forkserver in a forked process, so that the job gets one of its own.

    Main's is no child of this process; multiprocessing waits for it all the same, and fails.
    """
    if sys.platform != "win32":
        server: Any = forkserver._forkserver  # noqa: SLF001 - there is no other way to let go of it
        if server._forkserver_pid is not None:  # noqa: SLF001 - the same
            os.close(server._forkserver_alive_fd)  # noqa: SLF001 - the same
            server._forkserver_pid = server._forkserver_alive_fd = None  # noqa: SLF001 - the same


def _wait_for_end(lifeline: Connection) -> None:
    connection.wait([lifeline])
    if sys.platform != "win32":
        os.killpg(os.getpgrp(), SIGKILL)
    os.kill(os.getpid(), SIGKILL)


if sys.platform == "linux":

    def _tie(lifeline: Connection, group: int) -> None:
        if os.getpgrp() == group:  # else it is a worker's child, or a daemon's
            _ties.append(_have_kernel_send(SIGKILL, lifeline, os.getpid()))

    def _forkservers_group() -> int:
        """Return the group that the forkserver leads, if this process is from there; else 0."""
        ours = forkserver.get_inherited_fds() is not None
        return os.getpgrp() if ours and os.getpgrp() == os.getppid() else 0

    def _have_kernel_send(number: int, lifeline: Connection, owner: int) -> int:
        """Ask the kernel for a signal when main's end of a pipe closes; return the descriptor.

        It sends the signal set by F_SETSIG when a pipe with O_ASYNC loses its writer, fcntl(2), to
        the owner: a process, or the group of a negative number. Owner and signal belong to the open
        file description, which processes would share, hence a new one.
        """
        descriptor = os.open(f"/proc/self/fd/{lifeline.fileno()}", os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, number)
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, owner)
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
        if number == SIGKILL and lifeline.poll(0):
            os.kill(owner, number)  # main was gone before the kernel knew whom to tell
        return descriptor
