"""A pytest plugin that takes away what Windows lacks: a stand-in for it, as far as imports go."""

import multiprocessing
import os
import select
import signal
import sys
from contextlib import suppress
from importlib import import_module

import pytest

IMPORTED_BEFORE = """
    asyncio.subprocess concurrent.futures.process logging.handlers multiprocessing.forkserver
    multiprocessing.managers multiprocessing.popen_forkserver multiprocessing.popen_spawn_posix
    multiprocessing.shared_memory multiprocessing.sharedctypes
    click distributed hypothesis prometheus_client psutil rich.live rich.progress
"""
"""They would look for Windows' own modules."""
MODULES = "fcntl grp pty pwd resource syslog termios tty"
OF_OS = """
    O_NONBLOCK WNOHANG chown fork forkpty getegid geteuid getgid getgroups getpgid getpgrp getsid
    getuid killpg mkfifo openpty posix_spawn pread pwrite readv register_at_fork setgid setgroups
    setpgid setsid setuid wait waitid writev
"""
OF_SIGNAL = """
    ITIMER_REAL SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGQUIT SIGSTOP SIGUSR1 SIGUSR2 SIG_BLOCK
    SIG_SETMASK SIG_UNBLOCK pthread_kill pthread_sigmask setitimer sigwait
"""


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Remove them from this interpreter before the first module of the tests is imported."""
    for name in IMPORTED_BEFORE.split():
        with suppress(ModuleNotFoundError):  # what this execution model does without
            import_module(name)
    for name in MODULES.split():
        sys.modules[name] = None  # type: ignore[assignment] # its import fails
    for module, names in ((os, OF_OS), (signal, OF_SIGNAL), (select, "PIPE_BUF epoll poll")):
        for name in names.split():
            if hasattr(module, name):  # not every Linux has all
                delattr(module, name)
    multiprocessing.get_all_start_methods = lambda: ["spawn"]
    sys.platform = "win32"
