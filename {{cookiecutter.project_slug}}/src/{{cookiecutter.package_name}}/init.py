"""The first process of a container: passes signals on, reaps orphans, leaves with the service.

The kernel treats process 1 apart: a signal that it does not handle does nothing to it, and every
orphan becomes its child, pid_namespaces(7). Elsewhere an init sees to that; where the service is
started as process 1, it runs in a child, and process 1 is its init.
"""

import os
import signal
import sys
from contextlib import suppress

from . import STOPPED_BY_SIGNAL

SI_KERNEL = 0x80
"""What sigaction(2) tells of a signal that nobody sent, such as a terminal's Ctrl-C."""

if sys.platform == "linux":
    PASSED_ON = {
        *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
        *(signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2),
    }

    def run_in_child() -> None:
        """Return in a new process; this one is its init from now on, and ends when it does."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON | {signal.SIGCHLD})
        service = os.fork()
        if not service:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            return
        while (code := _reap(service)) is None:
            news = signal.sigwaitinfo(PASSED_ON | {signal.SIGCHLD})
            # A terminal signals its whole process group: the service has that one already.
            if news.si_signo in PASSED_ON and news.si_code != SI_KERNEL:
                os.kill(service, news.si_signo)  # not reaped yet, so it exists
        os._exit(code)

    def _reap(service: int) -> int | None:
        """Reap who ended; return the exit code of the service, as in a shell, once it has one."""
        code = None
        with suppress(ChildProcessError):
            while code is None and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == service:
                    code = os.waitstatus_to_exitcode(ended[1])
        return code if code is None or code >= 0 else STOPPED_BY_SIGNAL - code
