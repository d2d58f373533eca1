"""Calls the job's ``settled`` with outcomes that are committed: at least once for each."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from multiprocessing import connection
from queue import SimpleQueue
from types import ModuleType
from typing import Self

from ..items.job_options import plain_function
from ..items.messages import Outcome
from ..items.outcomes import NEW_OUTCOME
from ..system.capacity import start_with_retries
from ..system.clock import back_off
from ..system.errors import describe
from ..system.signals import StopRequest
from .database import explained
from .journal import Journal
from .keys import ESCAPE, original_key
from .reading import count_unsettled

log = logging.getLogger(__name__)

Settled = Callable[[Sequence[Outcome]], object]

TICK = 0.1
CLOSE_SECONDS = 0.2
MOST_ROWS = 1_000
MOST_CHARACTERS = 8_000_000
"""Characters of results and errors in one call, about: long ones must not fill the memory."""
NOTE = """
CREATE TEMP TRIGGER note_unsettled AFTER INSERT ON outcomes
BEGIN INSERT INTO unsettled VALUES (new.rowid); END
"""
"""Lives as long as the connection: a job without ``settled`` pays for nothing."""
QUERY = f"""
SELECT number, {", ".join(Outcome._fields)}
FROM unsettled LEFT JOIN outcomes ON outcomes.rowid = number ORDER BY number LIMIT {MOST_ROWS}
"""  # noqa: S608 - our own names
SETTLED = "DELETE FROM unsettled WHERE number = ?"


class Settler:
    """Calls ``settled``, in one thread of main, with one batch after another, in their order.

        journal ── batch ──▶ look ──▶ thread: job.settled ──▶ look ── settled ──▶ journal

    The journal is the backlog, one batch of it is in memory. Main alone reads and writes it, in
    ``look``; so a thread that hangs holds up nothing else.
    """

    def __init__(self, call: Settled | None, journal: Journal, stop: StopRequest) -> None:
        """Find what earlier runs left.

        Args:
            call: The job's ``settled``; without one nothing is ever unsettled.
            journal: Of the run.
            stop: Woken when a call has returned.

        Raises:
            JournalError: The file is damaged.
        """
        self.wanted, self.journal, self.stop = call is not None, journal, stop
        self.earlier = self.taken = 0
        self.numbers: list[int] = []
        """Rows of the batch that the thread has."""
        self.returned = self.closed = False
        self.batches = SimpleQueue[list[Outcome]]()
        self.hurry = threading.Event()  # this process's own
        self.thread = threading.Thread(name="settled", target=self._live, args=(call,), daemon=True)
        if self.wanted:
            with explained(journal.path, "cannot be read"):
                journal.database.execute(NOTE)
                self.earlier = count_unsettled(journal.database)

    def __enter__(self) -> Self:
        """Begin, if there is anything to call."""
        if self.wanted:
            start_with_retries(self.thread.start)
        return self

    def __exit__(self, *_: object) -> None:
        """Call no more; do not wait for a call that hangs."""
        self.closed = True
        self.hurry.set()
        self.batches.put([])
        if self.thread.is_alive():
            self.thread.join(CLOSE_SECONDS)

    @property
    def unsettled(self) -> int:
        """Count the outcomes that are committed and not settled."""
        return self.earlier + self.journal.recorded - self.taken if self.wanted else 0

    def look(self) -> int:
        """Note what is settled, hand the next batch to the thread; return how many are unsettled.

        Raises:
            JournalError: The journal cannot be read or written.
        """
        if self.returned:
            with explained(self.journal.path, "cannot be written"), self.journal.database as base:
                base.executemany(SETTLED, ((number,) for number in self.numbers))
            self.taken += len(self.numbers)
            self.numbers, self.returned = [], False
        if self.unsettled and not self.numbers:
            self._hand_out()
        return self.unsettled

    def drain(self) -> Iterator[int]:
        """Wait until all is settled, and yield how many are not, at least once a ``TICK``.

        A stop limits the wait to its grace period. Without a stop, the wait ends once nothing was
        settled for a grace period: ``settled`` fails each time then, or hangs.
        """
        stop, taken, since = self.stop, -1, 0.0
        self.hurry.set()
        while unsettled := self.look():
            now = stop.clock.now()
            if self.taken != taken:
                taken, since = self.taken, now
            if stop.requested and stop.deadline is None:
                stop.begin_grace()
            if stop.time_is_up or now - since > stop.grace:
                return
            connection.wait([stop.waker], TICK)
            stop.clear_waker()
            yield unsettled

    def _hand_out(self) -> None:
        numbers, outcomes, room = list[int](), list[Outcome](), MOST_CHARACTERS
        with (
            explained(self.journal.path, "cannot be read"),
            closing(self.journal.database.execute(QUERY)) as rows,
        ):
            for number, *columns in rows:
                numbers.append(number)
                if columns[0] is None:
                    continue  # its row is gone: it was tried again since
                outcome = NEW_OUTCOME(columns)
                if ESCAPE in outcome.key:
                    outcome = outcome._replace(key=original_key(outcome.key))
                outcomes.append(outcome)
                room -= len(outcome.result or "") + len(outcome.error or "")
                if room < 0:
                    break
        self.numbers, self.returned = numbers, not outcomes
        if outcomes:
            self.batches.put(outcomes)
        elif not numbers:
            self.taken = self.earlier + self.journal.recorded

    def _live(self, call: Settled) -> None:
        while (outcomes := self.batches.get()) and not self.closed:
            failures = 0
            while not (self._takes(call, outcomes, failures) or self.closed):
                failures = 0 if self.hurry.is_set() else failures + 1
                self.hurry.clear()
            self.returned = not self.closed
            self.stop.wake()

    def _takes(self, call: Settled, outcomes: list[Outcome], failures: int) -> bool:
        """Call ``settled``; return whether it took the outcomes, after a delay if it did not."""
        try:
            call(tuple(outcomes))
        except BaseException as error:  # the owner's code
            delay = back_off(failures)
            what = "settled() raised for %d outcomes, and is called again in %.1f s:\n%s"
            log.error(what, len(outcomes), delay, describe(error))  # noqa: TRY400 - all in one
            self.hurry.wait(delay)
            return False
        return True


def settled_of(job: ModuleType) -> Settled | None:
    """Return the job's ``settled``, if it has one.

    Raises:
        ContractError: It is not a plain function: a coroutine or generator function, for example.
    """
    call = getattr(job, "settled", None)
    return None if call is None else plain_function("settled", call)
