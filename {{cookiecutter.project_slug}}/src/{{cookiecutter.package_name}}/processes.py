"""How processes are started, live as long as main does, and are ended."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Protocol

from . import streams
from .files import leave_lost_folder

if sys.platform != "win32":
    import fcntl
    from multiprocessing import forkserver

HAS_LIFELINE_SIGNALS = sys.platform == "linux" and os.path.exists("/proc/self/fd")
LOST_TRACK = 255
"""Exit code of a forkserver's child when the forkserver itself was killed; the child may live."""

NAP_SECONDS = 0.001


class Closable(Protocol):
    """A socket or a connection."""

    def close(self) -> None:
        """Close it."""


class Ending(Protocol):
    """A process, or what stands for one."""

    @property
    def exitcode(self) -> int | None:
        """How it ended; None if it lives."""

    @property
    def sentinel(self) -> int:
        """What ``connection.wait`` waits for."""


@dataclass(frozen=True, slots=True)
class Bond:
    """What ties a process to main; the first thing that it is given."""

    lifeline: Connection
    mains_ends: tuple[Closable, ...]
    """What only main may hold open. A forked child has copies: unless it closes them, the others
    never learn that main is gone."""


class Lifeline:
    """A pipe that nothing is ever written to: it ends when main does, however main ends."""

    def __init__(self, start_method: str) -> None:
        """Open both ends; main keeps them, its children hold on to the reading end only."""
        self.forks = start_method == "fork"
        self.end, self.mains_end = connection.Pipe(duplex=False)

    def bond(self, *mains_ends: Closable) -> Bond:
        """Return what to hand to a new process when main also holds ``mains_ends``."""
        return Bond(self.end, (self.mains_end, *mains_ends) if self.forks else ())

    def close(self) -> None:
        """Let go: processes that still hold on are killed."""
        self.mains_end.close()
        self.end.close()


def context_for(start_method: str) -> BaseContext:
    """Return multiprocessing's context for a start method, its helpers made ready.

    A forkserver imports the workers' modules once instead of in every worker. The resource tracker
    is started here because its start unblocks signals, which ``start`` must keep blocked.
    """
    context = get_context(start_method)
    if start_method == "forkserver":
        context.set_forkserver_preload([f"{__package__}.worker", f"{__package__}.configurer"])
    if start_method != "fork" and sys.platform != "win32":
        resource_tracker.ensure_running()
    if start_method == "fork":
        os.register_at_fork(after_in_child=_leave_standard_input)
    return context


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
    """Start a process with stop signals blocked in it, until it calls ``follow_main`` or the like.

    Otherwise a Ctrl-C that comes while it boots ends it with a traceback.

    Raises:
        OSError: No more processes, memory or descriptors are to be had, or the forkserver died.
    """
    continue_helpers()
    leave_lost_folder()
    try:
        with stop_signals_blocked():
            process.start()
    except EOFError as error:
        raise ConnectionResetError("the forkserver died") from error


def follow_main(bond: Bond) -> None:
    """In a new process: live and end with main, and leave stop signals to main."""
    streams.protect(streams.HURRY_SECONDS)
    for end in bond.mains_ends:
        end.close()
    _die_with_main(bond.lifeline)
    _ignore_stop_signals()


def outlive_main(bond: Bond) -> None:
    """In a new process: leave stop signals to main, but see to main's end oneself.

    One that is stopped is continued by main's end, or it would stay for ever.
    """
    streams.protect(streams.HURRY_SECONDS)
    for end in bond.mains_ends:
        end.close()
    if HAS_LIFELINE_SIGNALS:
        _have_kernel_send(signal.SIGCONT, bond.lifeline)
    _ignore_stop_signals()


def kill(process: BaseProcess) -> None:
    """Send SIGKILL, also to a process whose forkserver was killed and that may live on."""
    if process.exitcode is None:
        process.kill()
    elif process.exitcode == LOST_TRACK and process.pid:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)


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
        time.sleep(NAP_SECONDS)


def join_all(processes: Iterable[BaseProcess], seconds: float) -> None:
    """Wait until they have ended, ``seconds`` in all, then kill those that have not."""
    processes, deadline = list(processes), time.monotonic() + seconds
    continue_helpers()
    while alive := [process for process in processes if process.exitcode is None]:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        connection.wait([process.sentinel for process in alive], left)
    for process in processes:
        kill(process)
    for process in processes:
        process.join(1.0)


def continue_helpers() -> None:
    """Continue multiprocessing's own processes, in case somebody stopped them.

    multiprocessing waits for the forkserver without a deadline when it starts a process, and learns
    from it how one ended; a stopped resource tracker would stay behind.
    """
    if sys.platform == "win32":
        return
    server: Any = forkserver._forkserver  # noqa: SLF001 - there is no other way to know them
    tracker: Any = resource_tracker._resource_tracker  # noqa: SLF001 - the same
    for pid in filter(None, (server._forkserver_pid, tracker._pid)):  # noqa: SLF001 - the same
        with suppress(OSError):  # it is gone
            os.kill(pid, signal.SIGCONT)


def how_it_ended(exitcode: int | None) -> str:
    """Say how a process ended: the name of the signal that killed it, or its exit code."""
    if exitcode is not None and exitcode < 0:
        with suppress(ValueError):
            return signal.Signals(-exitcode).name
    return f"exit code {exitcode}"


def _die_with_main(lifeline: Connection) -> None:
    """Have this process killed when main is gone, whatever it is doing then.

    Linux needs no help for it, so a process that is stopped, or that holds the GIL in C code, goes
    as well, and so do the children that it forks. Elsewhere a thread waits for the end.
    """
    if HAS_LIFELINE_SIGNALS:
        _have_kernel_send(signal.SIGKILL, lifeline)
        os.register_at_fork(after_in_child=partial(_have_kernel_send, signal.SIGKILL, lifeline))
    else:
        threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()


def _have_kernel_send(number: int, lifeline: Connection) -> None:
    """Have the kernel send this process a signal when main's end of a pipe closes.

    It sends the signal set by F_SETSIG when a pipe with O_ASYNC loses its writer, fcntl(2). Owner
    and signal belong to the open file description, which processes would share, hence a new one.
    """
    if sys.platform != "linux" or lifeline.closed:
        return
    descriptor = os.open(f"/proc/self/fd/{lifeline.fileno()}", os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(descriptor, fcntl.F_SETSIG, number)
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_ASYNC)
    if number == signal.SIGKILL and lifeline.poll(0):
        # Main was gone before the kernel knew whom to tell.
        _kill_self()


def _wait_for_end(lifeline: Connection) -> None:
    connection.wait([lifeline])
    _kill_self()


def _kill_self() -> None:
    os.kill(os.getpid(), signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)


@contextmanager
def stop_signals_blocked() -> Iterator[None]:
    """Have processes that are started meanwhile begin with stop signals blocked."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    )
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ignore_stop_signals() -> None:
    """Leave stopping to main, and unblock what main blocked for our start.

    A terminal's Ctrl-C and timeout(1) signal the whole process group; running items shall finish
    all the same. SIGTERM and SIGHUP get a handler that does nothing, because what is *ignored*
    stays so in the programs that work() starts, see execve(2), and then nobody could end them.
    """
    signal.set_wakeup_fd(-1)  # main's, in a forked process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _do_nothing)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, _do_nothing)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        os.register_at_fork(after_in_child=_default_sigterm)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    """Handle a signal that is main's business."""


def _leave_standard_input() -> None:
    """Give a forked child an empty one.

    multiprocessing closes it there, and would wait for ever for the lock of its buffer if a thread
    of main was reading from it: https://github.com/python/cpython/issues/50970
    """
    sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))


def _default_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
