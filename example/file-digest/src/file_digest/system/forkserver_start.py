"""Imported by multiprocessing's forkserver, and by no other process, before all other modules.

The forkserver starts with main's signals blocked, see ``processes.start_helpers``. Here it leaves
main's session and unblocks them: its children, ours and those of the job, begin with none blocked.

If it cannot fork, as at RLIMIT_NPROC, it ends with an exit code that tells main so, and not with a
traceback.
"""

import os
import sys

from .capacity import NO_FORK
from .inheritance import lead_session

if sys.platform != "win32":
    _fork = os.fork

    def _fork_or_leave() -> int:
        try:
            pid = _fork()
        except BlockingIOError:
            os._exit(NO_FORK)
        if not pid:
            os.fork = _fork  # what a worker forks is its own affair
        return pid

    os.fork = _fork_or_leave
    lead_session()
