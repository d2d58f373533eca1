"""How much memory processes use: what of it is resident, in bytes."""

import sys

if sys.platform != "win32":
    import resource

UNITS = ("kB", "MB", "GB", "TB")


def peak_of_this_process() -> int | None:
    """Return the most that this process has used so far; None where that cannot be known."""
    if sys.platform == "win32":
        return None
    elif sys.platform != "linux":  # noqa: RET505 - or mypy takes the rest for unreachable
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    else:
        # getrusage(2) would count what the process was before it called execve(2), too.
        try:
            with open("/proc/self/status", "rb", buffering=0) as status:
                return 1024 * int(status.read(4096).partition(b"VmHWM:")[2].split(None, 1)[0])
        except (OSError, IndexError):  # no descriptor is left, or no /proc
            return None


def used_by(pid: int) -> int:
    """Return what a process uses now; 0 where it has just ended."""
    import psutil  # noqa: PLC0415 - only runs with a limit need it, and no worker does

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def size_text(size: float) -> str:
    """Return a size for people, such as 1.5 GB."""
    unit = "B"
    for larger in UNITS:
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"
