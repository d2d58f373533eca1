"""The machine of the measurements, and the load of other programs on it."""

import os
import platform
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

SAMPLE_SECONDS = 0.3
CLOCK_OF_PROCESS = 2
"""CPUCLOCK_SCHED of Linux, see clock_getcpuclockid(3): a process id's own clock, in ns."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load of other programs while the benchmark itself rests."""

    average: float
    """Load average of the last minute; it counts the benchmark's own last minute as well."""
    busy: float
    """Share of all cores' time, 0 to 1."""
    stolen: float
    """Share that the hypervisor gave to other machines, 0 to 1."""

    def __str__(self) -> str:
        """Return it for a line of progress."""
        return f"others {self.busy:.0%}, stolen {self.stolen:.0%}, load {self.average:.1f}"


def foreign_load() -> Load:
    """Watch the machine for a moment."""
    before = _ticks()
    time.sleep(SAMPLE_SECONDS)  # the sample itself: nothing is awaited
    spent = [after - earlier for after, earlier in zip(_ticks(), before, strict=True)]
    total, (idle, waiting, stolen) = sum(spent) or 1, (spent[3], spent[4], spent[7])
    busy = total - idle - waiting - stolen
    return Load(os.getloadavg()[0], busy / total, stolen / total)


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, all its threads together."""
    return time.clock_gettime(~pid << 3 | CLOCK_OF_PROCESS)


def memory_mb(pid: int, *, peak: bool = False) -> float:
    """Return a process's resident memory, now or at its highest; 0 if it just ended."""
    name = "VmHWM" if peak else "VmRSS"
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    found = re.search(rf"{name}:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def proportional_mb(pid: int) -> float:
    """Return the memory of a process and all that it started: what is shared counts once (PSS)."""
    total, todo = 0.0, [pid]
    while todo:
        folder = Path(f"/proc/{todo.pop()}")
        with suppress(OSError):  # it has just ended
            rollup = (folder / "smaps_rollup").read_text("ascii")
            total += int(rollup.partition("\nPss:")[2].split(None, 1)[0]) / 1024
            for children in folder.glob("task/*/children"):
                todo.extend(map(int, children.read_text("ascii").split()))
    return total


def machine() -> list[str]:
    """Describe the machine, one fact a line."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text("utf-8"))
    return [
        f"{len(os.sched_getaffinity(0))} cores, {cpu[1] if cpu else platform.machine()}",
        f"{int(memory[1]) / 2**20:.1f} GiB of memory" if memory else "memory unknown",
        f"{platform.system()} {platform.release()}",
        f"{platform.python_implementation()} {platform.python_version()}",
    ]


def versions(requirements: Path) -> list[str]:
    """Return name and installed version of each requirement."""
    names = re.findall(r"^([\w-]+)==", requirements.read_text("utf-8"), re.MULTILINE)
    return [f"{name} {version(name)}" for name in names]


def _ticks() -> list[int]:
    """Return the machine's ticks so far: user, nice, system, idle, iowait, irq, softirq, steal."""
    return [int(n) for n in Path("/proc/stat").read_text("ascii").split("\n")[0].split()[1:9]]
