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
from .known import NO_OUTCOME, PassedKeys, final, keys_of, recorded
from .pruning import Pruner
from .recording import insert, key_in

COMMIT_SECONDS = 0.5
COMMIT_ROWS = 5_000


class Journal:
    """The journal of a run; main is its only writer."""

    def __init__(
        self,
        path: Path,
        *,
        retry_failed: bool = False,
        redo: bool = False,
        polls: bool = False,
        keep: float | None = None,
    ) -> None:
        """Open or create a journal.

        Args:
            path: The SQLite file.
            retry_failed: Whether items that failed earlier count as unfinished.
            redo: Whether all do.
            polls: Whether repeated keys are normal, and not reported.
            keep: Seconds for which an outcome is kept; None: for ever.

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
        self.path, self.final = path, final(retry_failed=retry_failed, redo=redo)
        self.lock = lock(path)
        try:
            self.database = open_to_write(path)
            with explained(path, "cannot be opened"):
                self.earlier = ask(self.database, "SELECT max(rowid) FROM outcomes")[0][0] or 0
        except BaseException:
            self.lock.close()
            raise
        self.pruner = Pruner(path, self.database, keep)
        self.pending: list[Outcomes | Sequence[Outcome]] = []
        self.events = WorkerEvents()
        """Those that are pending are committed with the next outcomes, or at the end."""
        self.rows = self.recorded = 0
        """Outcomes that are pending, and that are committed."""
        self.committed = time.monotonic()
        self.skipped = {DONE: 0, FAILED: 0}
        """Number of items that were left out, by the status that they have."""
        self.retried: set[str] = set()
        """Stored keys that have a row of an earlier run, which is to be replaced."""
        self.changes: list[Change] = []
        self.polls, self.passed, self.under_way = polls, PassedKeys(), set[str]()
        """Keys that came in this run, roughly, and those of them without a committed outcome."""

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

    def note_job(self, digest: str) -> bool:
        """Note the digest of the job; return whether the outcomes are those of another.

        Outcomes of a version that recorded no digest count as those of this job.

        Raises:
            JournalError: It cannot be written.
        """
        with explained(self.path, "cannot be written"), self.database:
            noted = self.database.execute("SELECT digest FROM job").fetchone()
            if noted == (digest,):
                return False
            self.database.execute("DELETE FROM job")
            self.database.execute("INSERT INTO job VALUES (?)", (digest,))
        return bool(noted and self.earlier)

    def admit(self, pairs: list[Item]) -> list[Item]:
        """Return the items to do, each key once; from now on they are under way.

        Items that have an outcome, are under way, or came before in this run are left out.

        Raises:
            JournalError: The file is damaged.
        """
        keys = [key for key, _ in pairs]
        asked = keys if self.earlier else self.passed.add(keys)
        with explained(self.path, "cannot be read"):
            known = recorded(self.database, asked)
        if known or len(set(keys)) < len(keys) or not self.under_way.isdisjoint(asked):
            return [
                pair for pair in pairs if self._admits(pair[0], *known.get(pair[0], NO_OUTCOME))
            ]
        self.under_way.update(keys)
        return pairs

    def record(self, outcomes: Outcomes | Sequence[Outcome]) -> None:
        """Add outcomes; they are committed in batches, at the latest ``COMMIT_SECONDS`` later.

        A call without outcomes commits and prunes if that is due. Pruning looks at twice as many
        rows as were added, at least, to keep pace.

        Raises:
            JournalError: They cannot be written, on a full disk for example. They stay pending.
        """
        if count := len(outcomes):
            self.pending.append(outcomes)
            self.rows += count
        if self.rows >= COMMIT_ROWS or time.monotonic() - self.committed > COMMIT_SECONDS:
            rows = self.rows
            if rows:
                self.commit()
            self._prune(2 * rows)
            self.committed = time.monotonic()

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
        for some in self.pending:
            self.under_way.difference_update(keys_of(some))
        self.pending.clear()
        self.events.pending.clear()
        self.recorded += self.rows
        self.rows = 0
        self.committed = time.monotonic()

    def take_changes(self) -> list[Change]:
        """Return the outcomes that were changed or dropped since the last call."""
        changes, self.changes = self.changes, []
        return changes

    def _prune(self, rows: int) -> None:
        with explained(self.path, "cannot be written"):
            if self.pruner.go_on(rows):
                # Where the last rows go SQLite gives out their numbers again.
                last = self.database.execute("SELECT max(rowid) FROM outcomes").fetchone()[0] or 0
                self.earlier = min(self.earlier, last)

    def _admits(self, key: str, status: str, number: int) -> bool:
        """Admit a key, given status and row number of its outcome, if it has one."""
        if key in self.under_way or number > self.earlier:
            if not self.polls:
                self.changes.append(Change(key, None, None))
            return False
        if status in self.final:
            self.skipped[status] += 1
            return False
        if status:
            self.retried.add(key_in(self.database, key))
        self.under_way.add(key)
        return True
