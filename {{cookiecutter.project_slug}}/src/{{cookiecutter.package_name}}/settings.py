"""Every setting once: name, type, default, bounds, help. A new one is one more field.

``cli`` makes an option, an environment variable and a key of the TOML file out of each field. This
module is imported in every worker, so it knows no library that does that.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from . import PACKAGE

StartMethod = Literal["forkserver", "spawn", "fork"]
LogTransport = Literal["auto", "pipe", "queue"]
LogFormat = Literal["text", "json"]

TEXT_LAYOUT = "%(asctime)s %(processName)-10s %(levelname)-8s [%(item)s] %(message)s"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
TRANSPORTS = ("auto", "queue") if sys.platform == "win32" else ("auto", "pipe", "queue")
"""Without ``pipe`` on Windows, where writes to a pipe are not atomic."""
MOST_WORKERS = 1_000
"""Upper limit of ``--workers``, so that a typing error does not take a machine down."""

WHAT = "What to do"
WORKERS = "Workers"
LIMITS = "Attempts and limits"
LOG = "Log"
RESULTS = "Results and screen"
GROUPS = (WHAT, WORKERS, LIMITS, LOG, RESULTS)
"""Order of the groups in the help: the most used first."""


def slug_and_version() -> tuple[str, str]:
    """Return the command's name and the version, both as installed."""
    from importlib import metadata  # noqa: PLC0415 - slow to import, and no worker needs it

    for entry in metadata.entry_points(group="console_scripts"):
        if entry.value == f"{PACKAGE}.__main__:main" and entry.dist:
            return entry.name, entry.dist.version
    return PACKAGE.replace("_", "-"), "0 (not installed)"


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


def default_log_file() -> Path:
    """Return the log file's name, which is the command's."""
    return Path("logs", f"{slug_and_version()[0]}.log")


class Share(NamedTuple):
    """A number of items, or a percentage of them."""

    amount: float
    is_percentage: bool


class Kind(NamedTuple):
    """The values that a setting takes; ``cli.values`` reads them.

    A tuple, as ``Option`` is, because every worker imports this: a dataclass takes 1 ms to make.
    """

    name: str
    metavar: str
    """Stands for a value in the help."""
    allowed: str
    """The values that are allowed, for the error message."""
    in_file: tuple[type, ...] = (str,)
    """Types of TOML's that may stand for it, or for each of a list."""
    least: int | None = None
    most: int | None = None
    above: bool = False
    """Whether ``least`` itself is too little."""
    words: tuple[str, ...] = ()
    """The words to choose from; for a number, those that may stand in its place."""


def whole(least: int = 0, most: int | None = None, *words: str) -> Kind:
    """Take a whole number, or one of ``words``."""
    allowed = f"a whole number, {_range(least, most)}{''.join(f', or {word}' for word in words)}"
    types = (int, str) if words else (int,)
    return Kind("whole", "|".join(("N", *words)), allowed, types, least, most, words=words)


def number(least: int = 0, most: int | None = None, *, above: bool = False) -> Kind:
    """Take any finite number, such as a time in seconds."""
    allowed = f"a number, {_range(least, most, above=above)}"
    return Kind("number", "S", allowed, (int, float), least, most, above)


def choice(*words: str) -> Kind:
    """Take one of some words, in upper or lower case."""
    return Kind("choice", "|".join(words), f"one of {', '.join(words)}", words=words)


def _range(least: int, most: int | None, *, above: bool = False) -> str:
    lowest = f"{'above' if above else 'at least'} {least}"
    return lowest if most is None else f"{lowest} and at most {most}"


TEXT = Kind("text", "TEXT", "a text")
TEXTS = Kind("texts", "TEXT", "a list of texts")
LAYOUT = Kind("layout", "FORMAT", "a layout in logging's %-style")
PATH = Kind("path", "FILE", "a file's path")
LOG_FILE = Kind("log_file", "FILE", "a file's path, or - for standard output")
FLAG = Kind("flag", "", "true or false", (bool,))
SIZE = Kind("size", "SIZE", "a number of bytes above 0, such as 500M or 1.5G", (int, str))
SHARE = Kind("share", "N|P%", "a whole number above 0, or a percentage such as 5%", (int, str))
AGE = Kind("age", "AGE", "a time, such as 12h or 30d", (int, str))
JOB_OPTION = Kind(
    "job_option", "KEY=VALUE", "KEY=VALUE, the key in lower case, or a table [job]", (dict,)
)
LEVELS_BY_LOGGER = Kind(
    "levels",
    "NAME=LEVEL,...",
    f"NAME=LEVEL, several with commas, or a table in the file; levels are {', '.join(LEVELS)}",
    (dict,),
)


class Option(NamedTuple):
    """The declaration of a setting."""

    kind: Kind
    help: str
    group: str = ""
    """The heading below which the help shows it."""
    default: Any = None
    """A value, or a function that returns one."""
    shown: str = ""
    """The default as the help shows it, if not by its value."""


def setting(kind: Kind, help_: str, group: str, default: Any = None, shown: str = "") -> Any:
    """Make a field from the declaration of a setting; see ``Option``."""
    option = {"option": Option(kind, help_, group, default, shown)}
    if callable(default):
        return field(default_factory=default, metadata=option)
    return field(default=default, metadata=option)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of a run: times in seconds, sizes in bytes, in the order of the help."""

    results: Path = setting(
        PATH, "SQLite file that keeps the outcomes.", RESULTS, Path("results.db")
    )
    retry_failed: bool = setting(
        FLAG, "Do the items again that failed earlier.", WHAT, default=False
    )
    redo: bool = setting(FLAG, "Do all items again, also what is done.", WHAT, default=False)

    job_option: Mapping[str, Any] = setting(
        JOB_OPTION, "An option of the job's own, for items(); repeatable.", WHAT, dict, "none"
    )
    poll: float | None = setting(
        number(above=True),
        "Seconds after which items() is called again, until the run is stopped.",
        WHAT,
        shown="never",
    )
    limit: int | None = setting(
        whole(1), "Do at most this many of the items without an outcome.", WHAT, shown="all"
    )
    dry_run: bool = setting(
        FLAG, "Print the keys of the items that would be done; touch nothing.", WHAT, default=False
    )

    workers: int = setting(
        whole(0, MOST_WORKERS),
        "Worker processes; 0: all in this process, for breakpoint() and profilers.",
        WORKERS,
        usable_cores,
        "usable cores",
    )
    start_method: StartMethod = setting(
        choice(*start_methods()), "How a worker is started.", WORKERS, start_methods()[0]
    )
    preload: bool | None = setting(
        FLAG, "Import the job once for all workers, in the forkserver.", WORKERS, shown="no-preload"
    )
    start_timeout: float = setting(
        number(above=True), "Seconds a worker may take to import and set up the job.", WORKERS, 60.0
    )
    recycle_after: int | None = setting(
        whole(1), "Items after which a worker is replaced.", WORKERS, shown="never"
    )
    worker_memory: int | None = setting(
        SIZE,
        "Replace a worker above this, such as 1.5G; kill it where an item uses twice that.",
        WORKERS,
        shown="any",
    )
    threads_per_worker: int | Literal["auto"] | None = setting(
        whole(1, None, "auto"),
        "Threads of NumPy and the like in each worker; auto shares the usable cores out.",
        WORKERS,
        shown="up to them",
    )

    item_timeout: float | None = setting(
        number(above=True), "Seconds that one item may take.", LIMITS, shown="none"
    )
    max_attempts: int = setting(
        whole(1),
        "Tries for an item whose worker dies or is timed out, or that RETRY is for.",
        LIMITS,
        3,
    )
    retry_delay: float = setting(
        number(),
        "Seconds before an item is tried again that RETRY is for; doubled each time.",
        LIMITS,
        1.0,
    )
    max_failures: Share | None = setting(
        SHARE,
        "Halt once this many items failed, or this share of at least 20: no new item starts.",
        LIMITS,
        shown="none",
    )
    grace: float = setting(
        number(),
        "Seconds that running items may take to finish after SIGTERM or Ctrl-C.",
        LIMITS,
        10.0,
    )

    log_file: Path = setting(
        LOG_FILE, "The one log of all processes; - is standard output.", LOG, default_log_file
    )
    log_level: str = setting(choice(*LEVELS), "Log nothing below this.", LOG, "INFO")
    log_levels: Mapping[str, str] = setting(
        LEVELS_BY_LOGGER, "Levels of single loggers.", LOG, dict, "none"
    )
    log_format: LogFormat = setting(
        choice("text", "json"), "Lines of text, or one JSON object a line.", LOG, "text"
    )
    log_layout: str = setting(LAYOUT, "The text format, in logging's %-style.", LOG, TEXT_LAYOUT)
    log_max_bytes: int = setting(whole(), "Rotate the log at this size.", LOG, 0, "never")
    log_backups: int = setting(whole(), "Rotated log files to keep.", LOG, 5)
    log_transport: LogTransport = setting(
        choice(*TRANSPORTS),
        "How records get to the listener; auto is the pipe where there is one.",
        LOG,
        "auto",
    )
    capture_output: bool = setting(FLAG, "Log what workers print.", LOG, default=True)

    prune_older_than: int | None = setting(
        AGE,
        "Remove outcomes that ended longer ago than this, such as 30d.",
        RESULTS,
        shown="never",
    )
    metrics: Path | None = setting(
        PATH, "File for Prometheus, replaced every second; needs the extra metrics.", RESULTS
    )
    progress: bool | None = setting(FLAG, "Show a progress bar.", RESULTS, shown="on a terminal")
    verbose: bool = setting(
        FLAG, "Show each worker's current item, and its time.", RESULTS, default=False
    )

    engine: Mapping[str, Any] = field(default_factory=dict)
    """Values of the execution model's own options (``workers.options``), by name."""

    @property
    def recycles(self) -> bool:
        """Whether healthy workers are replaced."""
        return bool(self.recycle_after or self.worker_memory)


def options() -> dict[str, Option]:
    """Return the options of ``run`` by name, for command line, environment and file."""
    return {each.name: each.metadata["option"] for each in fields(Settings) if each.metadata}
