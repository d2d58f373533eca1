"""Outcomes, many at a time: columns, which become rows only where rows are wanted."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, count, repeat
from typing import Any

from .messages import DONE, FAILED, Outcome

NEW_OUTCOME = partial(tuple.__new__, Outcome)
"""Does the same as ``Outcome._make``, without a Python call for every item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Outcomes of consecutive items of one batch; iterating yields ``Outcome`` rows.

    For tiny items, making the rows would take as long as everything else that main does for them.
    """

    keys: Sequence[str]
    results: Sequence[str]
    """JSON texts; empty at the positions that ``errors`` explains."""
    errors: Mapping[int, str]
    attempts: int
    worker: str
    started: float
    """Start of the first item, in seconds since the epoch."""
    seconds: Sequence[float]
    peak_memory: int | None = None
    postponed: Collection[int] = ()
    """Positions of items that are tried again: they have no outcome yet, and no row."""

    def __len__(self) -> int:
        """Count the outcomes."""
        return len(self.keys) - len(self.postponed)

    def __iter__(self) -> Iterator[Outcome]:
        """Yield a row for each."""
        rows, postponed = map(NEW_OUTCOME, self._rows()), self.postponed
        return (row for at, row in enumerate(rows) if at not in postponed) if postponed else rows

    @property
    def failures(self) -> list[Outcome]:
        """The rows of those that failed."""
        return [row for row in self if row.status == FAILED] if self.errors else []

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        errors = self.errors
        return zip(
            self.keys,
            [FAILED if at in errors else DONE for at in range(len(self.keys))]
            if errors
            else repeat(DONE),
            [result or None for result in self.results] if errors else self.results,
            map(errors.get, count()) if errors else repeat(None),
            repeat(self.attempts),
            repeat(self.worker),
            accumulate(self.seconds, initial=self.started),
            self.seconds,
            repeat(self.peak_memory),
            strict=False,
        )


NO_OUTCOMES = Outcomes(
    keys=(), results=(), errors={}, attempts=0, worker="", started=0.0, seconds=()
)
"""No outcomes: yielded so that main's loop can do its other work."""


@dataclass(frozen=True, slots=True)
class Change:
    """An outcome that was not recorded as it came."""

    key: str
    was: str | None
    """The status with which it was counted; None where it was not counted."""
    error: str | None
    """The reason to record it as failed; None for the second outcome of a key, which is dropped."""
