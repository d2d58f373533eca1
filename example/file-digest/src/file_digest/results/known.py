"""Find the keys that have an outcome, and those that came before."""

import sqlite3
from collections.abc import Iterable, Sequence

from ..items.messages import DONE, FAILED, Outcome
from ..items.outcomes import Outcomes
from .keys import ESCAPE
from .recording import key_in

SLOTS = 1 << 23
AT_ONCE = 250
"""Keys that one query asks for."""
SHORT = 1_000
NO_OUTCOME = "", 0
"""Status and row number of a key without an outcome."""
PLACEHOLDERS = ",".join("?" * AT_ONCE)
QUERY = f"SELECT key, status, rowid FROM outcomes WHERE key IN ({PLACEHOLDERS})"  # noqa: S608


class PassedKeys:
    """Finds keys that may have come before, in eight megabytes, for any number of keys.

    A Bloom filter with one hash, for speed: of a million new keys six in a hundred are looked up
    needlessly, of ten million half; no key that came before is missed.
    https://dl.acm.org/doi/10.1145/362686.362692
    """

    def __init__(self) -> None:
        """Know none."""
        self.slots = bytearray(SLOTS)

    def add(self, keys: Iterable[str]) -> list[str]:
        """Add keys; return those that may have come before, here or earlier."""
        slots, mask, maybe = self.slots, SLOTS - 1, list[str]()
        for key in keys:
            at = hash(key) & mask
            if slots[at]:
                maybe.append(key)
            else:
                slots[at] = 1
        return maybe


def final(*, retry_failed: bool, redo: bool) -> tuple[str, ...]:
    """Return the statuses with which an item is left out, given the options of a run."""
    if redo:
        return ()
    return (DONE,) if retry_failed else (DONE, FAILED)


def keys_of(some: Outcomes | Sequence[Outcome]) -> Iterable[str]:
    """Return the keys of outcomes."""
    if isinstance(some, Outcomes) and not some.postponed:
        return some.keys
    return (outcome.key for outcome in some)


def recorded(database: sqlite3.Connection, keys: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return status and row number of the keys that have an outcome."""
    found = dict[str, tuple[str, int]]()
    for at in range(0, len(keys), AT_ONCE):
        names = {_stored(database, key): key for key in keys[at : at + AT_ONCE]}
        values = [*names, *[None] * (AT_ONCE - len(names))]
        for stored, status, number in database.execute(QUERY, values):
            found[names[stored]] = status, number
    return found


def _stored(database: sqlite3.Connection, key: str) -> str:
    plain = len(key) < SHORT and key.isascii() and ESCAPE not in key
    return key if plain else key_in(database, key)
