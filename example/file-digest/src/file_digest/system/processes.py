"""Start and end processes."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from errno import EAGAIN
from functools import cache
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing import process as mp_process
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from .. import PACKAGE
from .capacity import forkserver_cannot_fork
from .files import leave_lost_folder
from .inheritance import MAINS_SIGNALS, SIGKILL
from .preload import MODULE
from .preload import preload as preloads

if sys.platform != "win32":
    from multiprocessing import forkserver

PRELOADED = ("system.forkserver_start", "worker", "configurer")
LOST_TRACK = 255
"""Exit code of a forkserver's child when the forkserver itself was killed; the child may live."""
UNKNOWN = 1_000
"""Stands for an exit code that is lost."""

POLL_INTERVAL, WAIT_INTERVAL = 0.001, 0.01
KILL_SECONDS = 1.0
"""Seconds that the end of a killed forkserver may take."""


class Ending(Protocol):
    """A process, or an object in place of one."""

    @property
    def exitcode(self) -> int | None:
        """Its exit code; None while it lives."""

    @property
    def sentinel(self) -> int:
        """A handle for ``connection.wait``, ready once the process has ended."""


def context_for(start_method: str) -> BaseContext:
    """Return multiprocessing's context for a start method, its helpers made ready."""
    if start_method == "fork":
        _leave_standard_input_at_forks()
    start_helpers(start_method)
    return get_context(start_method)


def start_helpers(start_method: str) -> None:
    """Start multiprocessing's own processes, before the job could.

    They begin with main's signals blocked, or main's group of processes would lose them to a Ctrl-C
    or timeout(1): the resource tracker ignores all but SIGHUP, which stays blocked, and the
    forkserver leaves the group, see ``forkserver_start``. The latter imports the workers' modules
    once instead of in every worker.

    Raises:
        OSError: The limit of processes or descriptors is reached.
    """
    leave_lost_folder()
    if sys.platform != "win32" and start_method != "fork":
        with mains_signals_blocked():
            resource_tracker.ensure_running()
    if sys.platform != "win32" and start_method == "forkserver":
        server: Any = forkserver._forkserver  # noqa: SLF001 - there is no other way to know it
        ours = [f"{PACKAGE}.{name}" for name in (*PRELOADED, MODULE)]
        jobs = [name for name in server._preload_modules if name not in (*ours, "__main__")]  # noqa: SLF001 - the same
        if not preloads.ask_for_import():
            ours.pop()
        forkserver.set_forkserver_preload([*ours, *jobs])
        with mains_signals_blocked():
            forkserver.ensure_running()


def can_start(start_method: str) -> bool:
    """Whether a process starts at once: not while the forkserver imports the job.

    Raises:
        OSError: See ``start_helpers``.
    """
    if sys.platform != "win32" and start_method == "forkserver" and preloads.is_pending:
        continue_helpers()
        start_helpers(start_method)
        server: Any = forkserver._forkserver  # noqa: SLF001 - there is no other way to know it
        return preloads.look(server._forkserver_pid)  # noqa: SLF001 - the same
    return True


def await_helpers(start_method: str, seconds: float, hurried: Callable[[], bool]) -> None:
    """Wait until a process starts at once.

    Args:
        start_method: Of that process.
        seconds: How long the forkserver may take to import the job.
        hurried: Returns whether to give up that import, because the run is stopped.

    Raises:
        OSError: See ``start_helpers``.
    """
    deadline = time.monotonic() + seconds + KILL_SECONDS
    while not can_start(start_method) and time.monotonic() < deadline:
        if hurried():
            preloads.cancel()
        time.sleep(WAIT_INTERVAL)


def start_process(
    context: BaseContext, target: Callable[..., None], args: tuple[Any, ...], name: str
) -> BaseProcess:
    """Start a process that calls ``follow_main`` or ``outlive_main`` first.

    Raises:
        OSError: See ``start``.
    """
    process: BaseProcess = context.Process(  # type: ignore[attr-defined] # all contexts have it
        target=target, args=args, name=name
    )
    start(process)
    return process


def start(process: BaseProcess) -> None:
    """Start a process with main's signals blocked in it, until it leads a session of its own.

    Otherwise a Ctrl-C that comes while it boots ends it with a traceback.

    Raises:
        OSError: The limit of processes, memory or descriptors is reached, or the forkserver died.
    """
    continue_helpers()
    start_helpers(getattr(process, "_start_method", "fork"))
    try:
        with mains_signals_blocked():
            process.start()
    except EOFError as error:
        if forkserver_cannot_fork():
            raise BlockingIOError(EAGAIN, os.strerror(EAGAIN)) from error
        raise ConnectionResetError("the forkserver died") from error
    hide(process)


def hide(process: BaseProcess) -> None:
    """Leave a process out of ``multiprocessing.active_children``: those are the job's.

    ``items()`` may wait for all of them at its end, or terminate them.
    """
    known: Any = mp_process._children  # type: ignore[attr-defined] # noqa: SLF001 - no other way
    known.discard(process)


def kill(process: BaseProcess) -> None:
    """Send SIGKILL to a process and to what it started: to its group, also once it has ended.

    One whose forkserver was killed may live on. The kernel does not reuse a group's number while a
    process is in it, and then goes through all other numbers first, so in the moments between a
    worker's end and this no other process has it.
    """
    if process.pid is None:
        return
    kill_group(process.pid)
    if (code := exitcode_of(process)) is None:
        process.kill()  # it may lead no group yet
    elif code == LOST_TRACK:
        with suppress(ProcessLookupError):
            os.kill(process.pid, SIGKILL)


def kill_group(pid: int) -> None:
    """Send SIGKILL to all processes that are left of the group that a process led."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses where all are dead
            os.killpg(pid, SIGKILL)


def exitcode_of(process: BaseProcess) -> int | None:
    """Return how a process ended, None if it lives, ``UNKNOWN`` if somebody else asked before us.

    ``os.wait()`` in ``items()`` may reap our processes, too. multiprocessing takes a process that
    the kernel no longer knows for one that is not there yet, and would wait for ever.
    """
    popen: Any = process._popen  # type: ignore[attr-defined] # noqa: SLF001 - only it knows
    if sys.platform != "win32" and getattr(popen, "returncode", 0) is None:
        if popen.method == "forkserver":
            # multiprocessing's own look costs ten times as much.
            poll = select.poll()
            poll.register(popen.sentinel, select.POLLIN)
            return process.exitcode if poll.poll(0) else None
        try:
            pid, status = os.waitpid(popen.pid, os.WNOHANG)
        except ChildProcessError:
            time.sleep(POLL_INTERVAL)  # another thread of ours may have asked, and sets it now
            popen.returncode = UNKNOWN if popen.returncode is None else popen.returncode
        else:
            if not pid:
                return None
            popen.returncode = os.waitstatus_to_exitcode(status)
    return process.exitcode


def await_end(process: Ending, seconds: float) -> None:
    """Wait until a process has ended, at most ``seconds``.

    Its descriptors, the sentinel's end among them, close a moment before it can be waited for.
    ``Process.join`` would block there, for ever if it closed them itself and lives on.
    """
    deadline = time.monotonic() + seconds
    continue_helpers()
    if process.exitcode is None:
        connection.wait([process.sentinel], seconds)
    while process.exitcode is None and time.monotonic() < deadline:
        time.sleep(POLL_INTERVAL)


def join_all(processes: Iterable[BaseProcess], seconds: float) -> list[BaseProcess]:
    """Wait until they have ended, ``seconds`` in all, then kill and return those that have not.

    What they started and left is killed as well.
    """
    processes, deadline = list(processes), time.monotonic() + seconds
    continue_helpers()
    while alive := [process for process in processes if exitcode_of(process) is None]:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        if connection.wait([process.sentinel for process in alive], left):
            time.sleep(POLL_INTERVAL)  # one that closed its descriptors may live on
    for process in processes:
        kill(process)
    for process in processes:
        process.join(1.0)
    return alive


def continue_helpers() -> None:
    """Continue multiprocessing's own processes, in case somebody stopped them.

    multiprocessing waits for the forkserver without a deadline when it starts a process, and learns
    from it how one ended; a stopped resource tracker would stay behind.
    """
    if sys.platform != "win32":
        server: Any = forkserver._forkserver  # noqa: SLF001 - there is no other way to know them
        tracker: Any = resource_tracker._resource_tracker  # noqa: SLF001 - the same
        for pid in filter(None, (server._forkserver_pid, tracker._pid)):  # noqa: SLF001 - the same
            with suppress(OSError):  # it is gone
                os.kill(pid, signal.SIGCONT)


def how_it_ended(exitcode: int | None) -> str:
    """Return how a process ended: the name of the signal that killed it, or its exit code."""
    if exitcode is not None and exitcode < 0:
        with suppress(ValueError):
            return signal.Signals(-exitcode).name
    return "exit code unknown" if exitcode == UNKNOWN else f"exit code {exitcode}"


@contextmanager
def mains_signals_blocked() -> Iterator[None]:
    """Block main's signals in processes that are started meanwhile."""
    if sys.platform != "win32":
        before = signal.pthread_sigmask(signal.SIG_BLOCK, MAINS_SIGNALS)
    try:
        yield
    finally:
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@cache
def _leave_standard_input_at_forks() -> None:
    if sys.platform != "win32":
        os.register_at_fork(after_in_child=_leave_standard_input)


def _leave_standard_input() -> None:
    """Give a forked child an empty standard input.

    multiprocessing closes it there, and would wait for ever for the lock of its buffer if a thread
    of main was reading from it: https://github.com/python/cpython/issues/50970
    """
    sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
