"""Check the limits of the operating system before anything starts, and raise those that can be.

Otherwise a limit shows in the middle of a start, disguised as "the forkserver died".
"""

import os
import sys
import tempfile
from multiprocessing import util

from .errors import RefusedError, WorkersCannotStartError
from .files import shown

if sys.platform != "win32":
    import resource

DESCRIPTORS = 40
"""Files, pipes and sockets that main has open, whatever workers it has."""
SOCKET_BYTES = 103
"""Longest path of a socket: unix(7); on macOS a little less than on Linux."""
SOCKET_NAME = "/pymp-12345678/listener-12345678"
"""Added by multiprocessing to the path of its temporary folder."""
SHORT_FOLDER = "/tmp"  # noqa: S108 - mkdtemp makes a folder of its own in it


def check_limits(workers: int, each: int) -> None:
    """Refuse, before anything starts, what the system does not allow.

    Args:
        workers: How many there may be at a time.
        each: Descriptors that main needs for each.

    Raises:
        RefusedError: No folder for temporary files is usable.
        WorkersCannotStartError: There are too few descriptors.
    """
    try:
        ensure_socket_paths()
    except OSError as error:
        raise RefusedError(str(error)) from error
    ensure_descriptors(workers, each)


def ensure_descriptors(workers: int, each: int, base: int = DESCRIPTORS, there: int = 0) -> None:
    """Raise the soft limit of open files as far as ``workers`` need it.

    Args:
        workers: Number of workers.
        each: Descriptors that main needs for each of them.
        base: Descriptors that it needs besides those and the ones that are open now.
        there: Number of workers that exist already.

    Raises:
        WorkersCannotStartError: The hard limit is below that.
    """
    if sys.platform != "win32":
        needed = len(os.listdir("/dev/fd")) + base + each * (workers - there)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft >= needed or soft == resource.RLIM_INFINITY:
            return
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        except (ValueError, OSError):
            raise WorkersCannotStartError(
                f"Too many open files: --workers {workers} needs about {needed} descriptors, "
                f"{soft} are allowed; raise that by ulimit -n, or have fewer workers"
            ) from None


def ensure_socket_paths() -> None:
    """Make multiprocessing keep its sockets in a folder whose path is short enough.

    Raises:
        OSError: There is no such folder; the message names TMPDIR.
    """
    if _is_short(tempfile.gettempdir()):
        return
    folder, tempfile.tempdir = tempfile.tempdir, SHORT_FOLDER
    try:
        util.get_temp_dir()  # which it keeps, for its children too
    except OSError as error:
        most = SOCKET_BYTES - len(SOCKET_NAME)
        raise OSError(
            f"TMPDIR: {shown(folder or '')} is too long for a socket in it, and {SHORT_FOLDER} "
            f"cannot be used ({error.strerror}); choose one of at most {most} bytes"
        ) from error
    finally:
        tempfile.tempdir = folder


def _is_short(folder: str) -> bool:
    needs_sockets = sys.platform != "win32"  # there it has named pipes
    return not needs_sockets or len(os.fsencode(folder)) + len(SOCKET_NAME) <= SOCKET_BYTES
