"""Everything that can be set, in one frozen dataclass."""

import multiprocessing
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

StartMethod = Literal["forkserver", "spawn", "fork"]
LogTransport = Literal["auto", "pipe", "queue"]
LogFormat = Literal["text", "json"]

TEXT_LAYOUT = "%(asctime)s %(processName)-10s %(levelname)-8s %(message)s"


def usable_cores() -> int:
    """Return how many processors this process may use, at least 1.

    A container's or ``taskset``'s limit counts, which ``os.cpu_count`` does not see.
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start_methods() -> list[str]:
    """Return the start methods that this platform has, the default first.

    fork is never the default: it copies locks that other threads hold, see
    https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods
    """
    available = multiprocessing.get_all_start_methods()
    return [method for method in ("forkserver", "spawn", "fork") if method in available]


@dataclass(frozen=True, slots=True)
class EngineOption:
    """An option of ``run`` that only this project's execution model has."""

    name: str
    """As on the command line, such as ``--scheduler``."""
    help: str
    is_flag: bool = False
    is_path: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How one run works. Times are in seconds; each default is the command line's default."""

    workers: int
    results: Path
    log_file: Path
    log_level: str = "INFO"
    log_format: LogFormat = "text"
    log_layout: str = TEXT_LAYOUT
    """The text format, in ``logging``'s %-style."""
    log_transport: LogTransport = "auto"
    log_max_bytes: int = 0
    """Size at which the log file is rotated; 0 is never."""
    log_backups: int = 5
    start_method: StartMethod = "spawn"
    item_timeout: float | None = None
    """How long one item may take; None is for ever."""
    max_attempts: int = 3
    """How often an item is tried whose worker dies."""
    grace: float = 10.0
    """How long running items may take to finish once the run was told to stop."""
    retry_failed: bool = False
    engine: Mapping[str, str | bool | None] = field(default_factory=dict)
    """Values of the execution model's own options, by name, such as ``scheduler``."""
