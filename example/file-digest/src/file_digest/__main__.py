"""The console script. Workers import this file again when they start, so it imports little."""

import os
import signal
import traceback
from types import FrameType

from . import STOPPED_BY_SIGNAL
from .system import streams
from .system.inheritance import handle, reset_sigchld
from .system.requests import requests

FAULT = 1


def main() -> None:
    """Run the command line, then leave."""
    reset_sigchld()
    for number in (signal.SIGINT, signal.SIGTERM):
        handle(number, _leave)
    requests.listen()
    _open_standard_descriptors()
    streams.protect()
    from .cli.app import main as run_command_line  # noqa: PLC0415 - see above
    from .system.leaving import leave  # noqa: PLC0415 - see above

    try:
        code = run_command_line()
    except Exception:  # a bug of ours: Python itself would wait for processes without a deadline
        traceback.print_exc()
        code = FAULT
    streams.restore()
    leave(code)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End at once, as long as a run has not begun, which lets running items finish.

    KeyboardInterrupt is lost where it comes in a callback, and every import has some:
    https://docs.python.org/3/library/weakref.html#weakref.ref
    """
    os._exit(STOPPED_BY_SIGNAL + number)


def _open_standard_descriptors() -> None:
    """Open descriptors 0 to 2 where they were closed, so that no pipe of ours takes their place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
