"""Resident memory of processes, in bytes, and the garbage collector's frequency."""

import gc
import sys
import time

if sys.platform != "win32":
    import resource

UNITS = ("kB", "MB", "GB", "TB")
COLLECT_AFTER = 50_000


LOOK_SECONDS = 0.1


class PeakMemory:
    """The peak of this process's resident memory.

    On Linux it is read from /proc, for getrusage(2) counts what the process was before execve(2),
    too. That takes 60 µs, so it is not done after every task of a few milliseconds.
    """

    def __init__(self) -> None:
        """Read nothing yet."""
        self.value: int | None = None
        self.maxrss, self.look_due = 0, 0.0

    def read(self) -> int | None:
        """Return it, in bytes; None where it cannot be known."""
        if sys.platform != "win32":
            maxrss, now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
            if sys.platform != "linux":
                self.value = maxrss
            elif maxrss != self.maxrss or now > self.look_due:
                self.maxrss, self.look_due = maxrss, now + LOOK_SECONDS
                self.value = _high_water_mark()
        return self.value


def _high_water_mark() -> int | None:
    try:
        with open("/proc/self/status", "rb", buffering=0) as status:
            return 1024 * int(status.read(4096).partition(b"VmHWM:")[2].split(None, 1)[0])
    except (OSError, IndexError):  # no descriptor is left, or no /proc
        return None


def used_by(pid: int) -> int:
    """Return a process's resident memory in bytes; 0 if it has just ended."""
    if sys.platform != "linux":
        import psutil  # noqa: PLC0415 - no worker needs it

        try:
            return int(psutil.Process(pid).memory_info().rss)
        except psutil.Error:
            return 0
    else:  # what psutil reads, which takes 20 ms to import: proc_pid_statm(5)
        try:
            with open(f"/proc/{pid}/statm", "rb", buffering=0) as statm:
                return int(statm.read(200).split()[1]) * resource.getpagesize()
        except (OSError, IndexError):
            return 0


def collect_less_often() -> None:
    """Run the cyclic garbage collector less often, and never on what is imported by now.

    A run makes some objects for every item, which live for moments and are in no cycle; Python's
    own limits would have them looked through again and again.
    """
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def size_text(size: float) -> str:
    """Return a size for people, such as 1.5 GB."""
    unit = "B"
    for larger in UNITS:
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"
