"""The measurements of ``scale``, in figures and in words."""

import os
import platform
import sys
from dataclasses import dataclass

from ..settings import usable_cores

THREADS, PROCESSES = "threads", "processes"
LIMITED = "limited"
"""Processes in which NumPy's threads are limited, see ``system.threads``."""
ENOUGH = 0.9
"""Share of the best rate: the fewest workers that reach it are the best choice."""
GAIN = 1.2
"""Speed-up below which there is none worth mentioning."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The rate at which a number of threads or workers did the sample."""

    kind: str
    workers: int
    items: int
    """The size of the sample."""
    failed: int
    rate: float
    """Items a second, while all of them were at work."""
    cpu: float
    """Processor seconds for a thousand items."""
    threads: int = 0
    """Threads of NumPy in each worker; 0 where they are not limited."""

    def row(self, base: float) -> str:
        """Return a line of the table, given the rate of one thread."""
        speed_up, at_once = self.rate / base, self.workers * (self.threads or 1)
        workers = f"{self.workers} x {self.threads}" if self.threads else self.workers
        return (
            f"{self.kind:<10} {workers:>7} {self.rate:>10.1f} {speed_up:>9.2f} "
            f"{speed_up / at_once:>10.0%} {self.cpu:>11.3f}"
            f"{f'  {self.failed} failed' if self.failed else ''}"
        )


def heading(first: Measured) -> str:
    """Return the table's head and its first row."""
    return (
        f"a sample of {first.items} items, {usable_cores()} cores, "
        f"Python {platform.python_version()} {'with' if has_gil() else 'without'} the GIL\n"
        f"{'':<10} {'workers':>7} {'items/s':>10} {'speed-up':>9} {'efficiency':>10} "
        f"{'CPU s/1000':>11}\n"
        f"{first.row(first.rate)}"
    )


def advice(measured: list[Measured], *, gil: bool) -> str:
    """Return one sentence that says what the figures mean."""
    base = measured[0].rate
    threads = max(one.rate for one in measured if one.kind == THREADS) / base
    limited = [one for one in measured if one.kind == LIMITED]
    by_processes = [*limited, *(one for one in measured if one.kind == PROCESSES)]
    most = max(one.rate for one in by_processes)
    best = next(one for one in by_processes if one.rate >= ENOUGH * most)
    processes, use = best.rate / base, f"use --workers {best.workers}"
    if best.threads:
        return (
            f"NumPy starts threads of its own: {best.workers} x {best.threads} gain "
            f"{processes:.1f} x over one worker without a limit; "
            f"{use} --threads-per-worker {best.threads}."
        )
    if threads < GAIN and (processes < GAIN or best.workers == 1):
        return (
            "Neither threads nor processes help: all share what is short (processors, memory, a "
            f"disk, a network); {use}."
        )
    if threads < GAIN:
        lock = "The GIL holds this job" if gil else "Something that threads share holds this job"
        return f"{lock}: threads gain nothing, processes {processes:.1f} x; {use}."
    if threads >= ENOUGH * processes:
        why = "it waits, or computes in C" if gil else "there is none here"
        return f"The GIL does not hold this job ({why}): threads gain {threads:.1f} x; {use}."
    return f"Threads gain {threads:.1f} x, processes {processes:.1f} x; {use}."


def has_gil() -> bool:
    """Whether this interpreter has the global interpreter lock, and it is on."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def is_busy() -> bool:
    """Whether other programs keep the processors busy, so that figures mean little."""
    return hasattr(os, "getloadavg") and os.getloadavg()[0] > usable_cores()
