"""Numbers that main, the listener and every process that logs share, without a lock.

They say whether the listener makes progress, and how many records did not go through it. Shared
memory outlives a process that is killed, and needs no descriptor that a job could close.
"""

import os
from ctypes import Array, c_longlong
from multiprocessing.sharedctypes import RawArray, RawValue

STALLED, CUT_OFF, LOST = KINDS = range(3)
"""Reasons why a record is not in the log. The listener stood still, or the process lost its way to
it: such a record is in the rescue file. Or it could not be written there either: it is lost."""

SLOTS = 512
"""One for each process that could not send a record; those of killed processes stay in use."""


class LogState:
    """The numbers; each is written by one process at a time."""

    def __init__(self) -> None:
        """Begin with zeros."""
        self.writes = RawValue(c_longlong)
        """Number of times that the listener has written."""
        self.collected = RawValue(c_longlong)
        """Bytes of the spare file that are in the rescue file."""
        self.slots: Array[c_longlong] = RawArray(c_longlong, SLOTS * len(KINDS))
        self.reported: Array[c_longlong] = RawArray(c_longlong, len(KINDS))

    def totals(self) -> list[int]:
        """Return how many records of each kind there are, of all processes."""
        slots = self.slots[:]
        return [sum(slots[kind :: len(KINDS)]) for kind in KINDS]

    def take_unreported(self) -> list[int]:
        """Return what was added to the totals since the last time."""
        added = [total - self.reported[kind] for kind, total in enumerate(self.totals())]
        for kind in KINDS:
            self.reported[kind] += added[kind]
        return added


class Counter:
    """One process's slot, taken at its first count."""

    def __init__(self, state: LogState) -> None:
        """Take none yet."""
        self.slots, self.owner, self.slot = state.slots, 0, 0

    def add(self, kind: int, count: int = 1) -> None:
        """Count records."""
        if self.owner != os.getpid():  # a forked child takes one of its own
            self.owner, self.slot = os.getpid(), self._free_slot()
        self.slots[self.slot + kind] += count

    def _free_slot(self) -> int:
        """Return an unused one, searched for from a random place.

        Two processes find the same one only if they start at the same place at the same moment.
        """
        start = int.from_bytes(os.urandom(4), "little")
        for number in range(start, start + SLOTS):
            slot = number % SLOTS * len(KINDS)
            if not any(self.slots[slot : slot + len(KINDS)]):
                return slot
        return start % SLOTS * len(KINDS)
