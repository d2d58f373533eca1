"""A batch of items on its way through one worker, and a worker's death."""

import pickle
from dataclasses import dataclass

from .messages import Item, Task


@dataclass(slots=True)
class Batch:
    """Items on their way through one worker; those from ``done`` to ``end`` are still open."""

    first: int
    pairs: list[Item]
    attempts: int
    """Attempts that its one item had before; 0 in a batch of several."""
    done: int = 0
    end: int = 0

    @property
    def open(self) -> list[Item]:
        """The items without a report."""
        return self.pairs[self.done : self.end]

    def task(self, *, named: bool) -> Task:
        """Return what to send to a worker, with the items' keys if ``named``.

        Raises:
            UnsendableError: A payload did not pickle.
            MemoryError: Together they are too large.
        """
        blob = pickle.dumps([payload for _, payload in self.pairs], pickle.HIGHEST_PROTOCOL)
        keys = "\0".join([key for key, _ in self.pairs]) if named else ""
        if keys.count("\0") >= len(self.pairs):  # a key has one, and is shown with an escape
            keys = "\0".join(key.replace("\0", r"\x00") for key, _ in self.pairs)
        return Task(self.first, blob, len(self.pairs), keys)


@dataclass(frozen=True, slots=True)
class WorkerDeath:
    """A worker's death."""

    worker: str
    reason: str
    seconds: float
    """Seconds that it had spent on its current item."""
    stack: str = ""
    """Its Python stack, innermost call first."""
    memory: int | None = None
    """Its memory at the last check, in bytes; None if it is not known."""

    @property
    def error(self) -> str:
        """Return the error of its current item: the reason, and its stack."""
        return f"{self.reason}\n\n{self.stack}" if self.stack else self.reason
