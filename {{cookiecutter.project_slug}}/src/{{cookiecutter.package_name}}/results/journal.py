"""The journal: outcomes in SQLite, so that what is done stays done; and events of workers."""

import time
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Self

from ..items.events import WorkerEvents
from ..items.messages import DONE, FAILED, Item, Outcome
from ..items.outcomes import Change, Outcomes
from ..system.files import shown
from .database import JournalError, ask, check, explained, lock, open_to_write
from .keys import real_file
from .recording import insert, key_in

COMMIT_SECONDS = 0.5
COMMIT_ROWS = 5_000


class Journal:
    """The journal of a run; main is its only writer."""

    def __init__(self, path: Path, *, retry_failed: bool = False) -> None:
        """Open or create a journal.

        Args:
            path: The SQLite file.
            retry_failed: Whether items that failed earlier count as unfinished.

        Raises:
            JournalError: It is no journal, cannot be written, or another run works on it; or a
                newer version of this program made it.
        """
        check(path)
        path = real_file(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"{shown(error.filename)}: {error.strerror}") from None
        self.path, self.final = path, (DONE,) if retry_failed else (DONE, FAILED)
        self.lock = lock(path)
        try:
            self.database = open_to_write(path)
            with explained(path, "cannot be opened"):
                self.earlier = ask(self.database, "SELECT max(rowid) FROM outcomes")[0][0] or 0
        except BaseException:
            self.lock.close()
            raise
        self.pending: list[Outcomes | Sequence[Outcome]] = []
        self.events = WorkerEvents()
        """Those that are pending are committed with the next outcomes, or at the end."""
        self.rows = 0
        self.committed = time.monotonic()
        self.skipped = {DONE: 0, FAILED: 0}
        """How many items were left out, by the outcome that they have."""
        self.retried: set[str] = set()
        """Stored keys that have a row of an earlier run, which is to be replaced."""
        self.changes: list[Change] = []

    def __enter__(self) -> Self:
        """Return the journal itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Commit what is pending, and close."""
        try:
            self.commit()
        finally:
            self.database.close()
            self.lock.close()

    def unfinished(self, pairs: list[Item]) -> list[Item]:
        """Leave out the items that have an outcome, of an earlier run or of this one.

        Raises:
            JournalError: The file is damaged.
        """
        if not self.earlier:
            return pairs  # a key that comes again is found when it is committed
        with explained(self.path, "cannot be read"):
            return [pair for pair in pairs if not self._leave_out(pair[0])]

    def record(self, outcomes: Outcomes | Sequence[Outcome]) -> None:
        """Take outcomes in; they are committed in batches, at the latest ``COMMIT_SECONDS`` later.

        Raises:
            JournalError: They cannot be written, on a full disk for example. They stay pending.
        """
        self.pending.append(outcomes)
        self.rows += len(outcomes)
        due = time.monotonic() - self.committed > COMMIT_SECONDS
        if self.rows >= COMMIT_ROWS or (self.rows and due):
            self.commit()

    def commit(self) -> None:
        """Write what is pending, all or nothing.

        Raises:
            JournalError: It cannot be written.
        """
        if not (self.rows or self.events.pending):
            return
        if not self.path.exists():
            what = "was removed during the run: its outcomes are lost"
            raise JournalError(f"{shown(self.path)} {what}")
        pending = partial(chain.from_iterable, self.pending)
        with explained(self.path, "cannot be written"):
            self.changes += insert(self.database, pending, self.rows, self.retried, self.events)
        self.pending.clear()
        self.events.pending.clear()
        self.rows = 0
        self.committed = time.monotonic()

    def take_changes(self) -> list[Change]:
        """Return what was recorded otherwise than it came, or not at all, since the last call."""
        changes, self.changes = self.changes, []
        return changes

    def _leave_out(self, key: str) -> bool:
        """Count an item that has an outcome, and return True; note one that gets another."""
        stored = key_in(self.database, key)
        query = "SELECT status, rowid FROM outcomes WHERE key = ?"
        status, number = self.database.execute(query, (stored,)).fetchone() or ("", 0)
        if number > self.earlier:
            self.changes.append(Change(key, None, None))
        elif status in self.final:
            self.skipped[status] += 1
        else:
            if status:
                self.retried.add(stored)
            return False
        return True
