"""End a process: run the exit hooks that the job registered, within a deadline.

Python itself waits without a deadline for threads and for atexit hooks. multiprocessing's children
exit without running their hooks (https://github.com/python/cpython/issues/83856).
"""

import atexit
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import active_children, util
from typing import NoReturn

LEAVE_SECONDS = 10.0
"""Seconds for all of main's end, whatever hooks and threads there are."""
THREAD_SECONDS = 1.0
"""Seconds of that for threads that are no daemons."""
SHUTDOWN_TIMEOUT = 1.0
"""Seconds for all of a worker's end."""
HOOKS_PRIORITY = 1_000
"""Priority of a worker's hooks among multiprocessing's finalizers: hooks run before those."""

_latest = [float("inf")]


def within(seconds: float) -> None:
    """Bound main's end to ``seconds`` from now, if that is less than ``LEAVE_SECONDS``."""
    _latest[0] = time.monotonic() + seconds


def leave(code: int) -> NoReturn:
    """End main: run the exit hooks, then exit with ``code``, whatever the hooks raise."""
    seconds = max(0.0, min(LEAVE_SECONDS, _latest[0] - time.monotonic()))
    with _gone_in(seconds, code):
        _run_hooks(min(THREAD_SECONDS, seconds / 2))
        _flush()
    if threading.active_count() > 1:
        # The owner's source may wait for input in a thread that cannot be ended, and shutting down
        # an interpreter around it may abort: https://github.com/python/cpython/issues/87430
        os._exit(code)
    sys.exit(code)


def run_hooks_at_end(*, forked: bool) -> None:
    """Run this worker's exit hooks when it ends in good order.

    Args:
        forked: Whether it was forked from main. Hooks that main registered are dropped then: they
            may remove files that all processes use.
    """
    if forked:
        atexit._clear()  # noqa: SLF001 - as Python does since 3.14
        for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined] # noqa: SLF001
            finalizer.atexit = False
        atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined] # noqa: SLF001
    util.Finalize(None, _end_worker, exitpriority=HOOKS_PRIORITY)


def end_in_time() -> None:
    """Run the exit hooks of a forkserver that has imported the job, with a deadline.

    Python would wait for its threads, without a deadline, before the hooks.
    """
    forkserver = os.getpid()

    def end() -> None:
        if os.getpid() != forkserver:
            return  # a worker has its own
        if sys.platform != "win32":
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, SHUTDOWN_TIMEOUT)
        deadline = time.monotonic() + SHUTDOWN_TIMEOUT / 2
        for thread in threading.enumerate():
            if not thread.daemon and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        atexit._run_exitfuncs()  # noqa: SLF001 - as below
        _flush()
        os._exit(0)

    threading._register_atexit(end)  # type: ignore[attr-defined] # noqa: SLF001 - called first


def _end_worker() -> None:
    with _gone_in(SHUTDOWN_TIMEOUT, 0):
        _run_hooks(SHUTDOWN_TIMEOUT / 2)


@contextmanager
def _gone_in(seconds: float, code: int) -> Iterator[None]:
    """End this process if what is done meanwhile takes longer."""
    over = threading.Event()  # this process's own

    def watch() -> None:
        if not over.wait(seconds):
            for child in active_children():
                child.kill()  # multiprocessing waits for those of the owner, without a deadline
            os._exit(code)

    watching = threading.Thread(target=watch, name="leaving", daemon=True)
    with suppress(RuntimeError):  # no more threads can be started
        watching.start()
    yield
    over.set()
    if watching.is_alive():
        watching.join()


def _run_hooks(seconds: float) -> None:
    """Run Python's own steps at exit, but wait for threads no longer than ``seconds``."""
    ours = (threading.main_thread(), threading.current_thread())
    if any(not thread.daemon for thread in threading.enumerate() if thread not in ours):
        ending = threading.Thread(target=threading._shutdown, name="ending", daemon=True)  # type: ignore[attr-defined] # noqa: SLF001
        with suppress(RuntimeError):
            ending.start()
            ending.join(seconds)
    atexit._run_exitfuncs()  # noqa: SLF001 - each runs once; nothing else runs them here


def _flush() -> None:
    """Flush standard streams; an error must not become Python's exit code 120."""
    for number, stream in enumerate((sys.stdout, sys.stderr), start=1):
        try:
            if stream:
                stream.flush()
        except Exception:  # nobody reads it, it is full, or it is the owner's
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
