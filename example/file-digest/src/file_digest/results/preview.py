"""Find the items that a run would do, without touching its journal."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from ..items.messages import Item
from .database import check, explained, open_to_read
from .keys import real_file
from .known import NO_OUTCOME, recorded


@contextmanager
def preview(path: Path, final: tuple[str, ...]) -> Iterator[Callable[[list[Item]], list[Item]]]:
    """Yield a function that leaves out the items that have an outcome, or came before.

    Args:
        path: The journal; one that does not exist yet has no outcomes.
        final: Statuses with which an item is left out.

    Raises:
        JournalError: It is no journal, or damaged.
    """
    check(path)
    new = partial(_new, set[str]())
    if not real_file(path).exists():
        yield new
        return
    with closing(open_to_read(path)) as database, explained(path, "cannot be read"):
        yield lambda pairs: _unfinished(database, final, new(pairs))


def _new(seen: set[str], pairs: list[Item]) -> list[Item]:
    """Leave out what came before: a run does it once."""
    fresh = [pair for pair in dict(pairs).items() if pair[0] not in seen]
    seen.update(key for key, _ in fresh)
    return fresh


def _unfinished(
    database: sqlite3.Connection, final: tuple[str, ...], pairs: list[Item]
) -> list[Item]:
    known = recorded(database, [key for key, _ in pairs])
    return [pair for pair in pairs if known.get(pair[0], NO_OUTCOME)[0] not in final]
