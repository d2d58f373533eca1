"""The small values that travel between main and its workers."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from array import array

DONE = "done"
FAILED = "failed"

IDLE = -1
"""A worker's current item: none."""


def whole_task(first: int) -> int:
    """Return a worker's current item while it unpacks or sends a task: no single one.

    It is its own inverse.
    """
    return -2 - first


Item = tuple[str, Any]
"""One item from ``job.items``: a unique, stable key and the payload for ``job.work``."""


class Outcome(NamedTuple):
    """The end of one item; its fields are the journal's columns, in their order.

    A tuple and not a dataclass: there is one for every item, and a frozen dataclass of nine
    fields costs five times as much to make.
    """

    key: str
    status: str
    """``DONE`` or ``FAILED``."""
    result: str | None
    """The return value of ``job.work`` as JSON text; None for a failed item."""
    error: str | None
    """A traceback, or why there is no result; None for an item that is done."""
    attempts: int
    worker: str
    started: float
    """Seconds since the epoch."""
    seconds: float
    """Duration of the last attempt."""
    peak_memory: int | None = None
    """Peak of the worker's resident memory by then, in bytes, which includes memory that earlier
    items have left. None if it is not known."""

    @property
    def value(self) -> Any:
        """Return the result as ``json`` reads it; None for a failed item."""
        return None if self.result is None else json.loads(self.result)


@dataclass(frozen=True, slots=True)
class Task:
    """Main to worker: do these items.

    Items are numbered in the order in which they are sent, so a number names one attempt at one
    item; a task's items have consecutive numbers.
    """

    first: int
    blob: bytes
    """The pickled list of payloads. Pickled on its own, so that a payload that does not unpickle
    costs its task and not the connection."""
    count: int
    keys: str = ""
    """The items' keys, for their log records, with NUL between them; empty where the log does not
    show them. One text, which few workers ever take apart."""


@dataclass(frozen=True, slots=True)
class Revoke:
    """Main to worker: report what is done, and release what is not begun."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Main to worker: nothing more will come, end in good order."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Worker to main: the job is imported and set up, send tasks."""

    pid: int
    has_lifespan: bool = False
    """Whether it has something to tear down at its end."""


@dataclass(frozen=True, slots=True)
class StartFailed:
    """Worker to main, its last message: why it cannot start."""

    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """Worker to main: the results of some consecutive items of one task."""

    first: int
    """Number of the first item reported."""
    results: str
    """JSON texts, a line each; empty at the positions that ``errors`` explains. One text and not
    many, because main has to take it apart for all workers."""
    started: float
    """Start of the first of them, in seconds since the epoch."""
    elapsed: float
    """Seconds from then to the end of the last one."""
    seconds: "array[float]"
    """Duration of each; tiny items that share one reading of the clock share an average."""
    errors: dict[int, str] = field(default_factory=dict)
    """Position to the error's text."""
    retryable: list[int] = field(default_factory=list)
    """Positions whose error is worth another attempt."""
    cpu: float = 0.0
    """CPU seconds that the worker and its ended children took since the report before."""
    peak_memory: int | None = None
    """Peak of the worker's resident memory so far, in bytes."""


@dataclass(frozen=True, slots=True)
class Released:
    """Worker to main: these items were not begun and never will be by this worker."""

    numbers: list[range]


@dataclass(frozen=True, slots=True)
class UnpickleFailed:
    """Worker to main: the payloads of this task do not unpickle here."""

    first: int
    reason: str


class ContractError(TypeError):
    """The job breaks its contract, such as ``items`` with a wrong type; the message is one line."""


class ItemsError(Exception):
    """``job.items`` failed, and not because of its inputs; the message is one line."""


class StoppedError(Exception):
    """A signal came before anything had begun."""

    def __init__(self, number: int) -> None:
        """Note which one."""
        super().__init__(f"stopped by signal {number}")
        self.number = number
