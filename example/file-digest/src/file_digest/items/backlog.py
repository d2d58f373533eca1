"""The backlog: items become batches, reports become outcomes, nothing is lost in between.

    job.items ─▶ Source (a thread) ─▶ Backlog ─▶ Batch ─▶ a worker
                                        ▲  │
                     released, lost ─ ──┘  └─▶ Outcome

Who does the batches is the execution model's business; all of them share this module.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ..system.errors import describe, error_name
from .batch import Batch, WorkerDeath
from .batch_size import BATCH_ITEMS, BatchSizer
from .events import WorkerEvents, WorkerNow
from .messages import Item, Report, Task, whole_task
from .outcomes import Outcomes
from .payloads import UnsendableError
from .source import READ_AHEAD, Source
from .waiting import RETRY_DELAY, Waiting

if TYPE_CHECKING:
    from ..system.stack_report import Asked

log = logging.getLogger(__name__)

SKIP_ROUNDS = 100
SKIP_AHEAD = 2_000
"""The most items to read ahead while all are already done: many keys at once cost a third each."""

CurrentItems = dict[str, tuple[str, float]]
"""Worker's name to the key of its current item, and its start by ``time.monotonic``."""


class Backlog:
    """The items without an outcome that no worker has, and the policy of trying again."""

    def __init__(
        self,
        source: Source,
        admit: Callable[[list[Item]], list[Item]],
        max_attempts: int,
        events: WorkerEvents | None = None,
        retry_delay: float = RETRY_DELAY,
    ) -> None:
        """Take items from ``source``, and do those that ``admit`` returns.

        Killed attempts are noted in ``events``, as are the supervisor's own events.
        """
        self.source, self.admit, self.max_attempts = source, admit, max_attempts
        self.sizer = BatchSizer()
        self.named = False
        """Whether tasks contain the items' keys."""
        self.left: int | None = None
        """Number of items that may still be taken from the source; None for all."""
        self.skip_ahead = 0
        """Number of items to read ahead: doubled while all of them are already done, then 0."""
        self.pending: list[Item] = []
        self.isolated: deque[tuple[Item, int]] = deque()
        """Items that go alone, and how often each was tried."""
        self.waiting = Waiting(retry_delay)
        self.failed: list[Outcomes] = []
        self.number = 0
        self.cpu_seconds = 0.0
        """Processor time of all workers so far, as they report it."""
        self.stopped = self.halted = False
        self.current_items: CurrentItems = {}
        """For the progress; the execution model updates it at every tick."""
        self.workers_now: Callable[[], list[WorkerNow]] = list
        """Returns the state of each worker; set by the execution model."""
        self.ask_for_stacks: Callable[[], list[Asked]] = list
        """Asks each worker for its stack; set by the execution model."""
        self.events = events or WorkerEvents()

    def stop(self) -> None:
        """Hand out nothing more."""
        self.stopped = True
        self.source.stop()

    def halt(self) -> None:
        """Begin no other item; running ones may finish without a deadline."""
        self.halted = True

    @property
    def read_out(self) -> bool:
        """Whether no new item will come."""
        return self.left == 0 or self.source.exhausted

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing to hand out, now or later, unless a worker gives it back."""
        return (self.is_empty and self.read_out) or self.stopped

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to hand out until the source yields new items."""
        return self.is_empty and self.source.resting and not self.source.ready

    @property
    def is_empty(self) -> bool:
        """Whether no item waits here, now or for a later attempt."""
        return not (self.pending or self.isolated or self.failed or self.waiting)

    @property
    def has_some(self) -> bool:
        """Whether there is something to hand out right now; ``fill`` looks for more."""
        return bool(self.isolated or self.pending)

    @property
    def not_begun(self) -> int:
        """Count the items that were read and are neither begun nor in a worker's hands."""
        return len(self.source.ready) + len(self.pending) + len(self.isolated) + len(self.waiting)

    def fill(self) -> None:
        """Fill the pending list without blocking, as far as the source gives items now."""
        self.isolated.extend(self.waiting.take_due())
        if self.stopped or self.isolated or self.waiting.full or self.left == 0:
            return
        self.source.ahead = max(READ_AHEAD, 2 * self.sizer.size, self.skip_ahead)
        for _ in range(SKIP_ROUNDS):
            enough = len(self.pending) >= self.sizer.size or self.left == 0
            if enough or not (pairs := self.source.take(hungry=not self.pending)):
                return
            admitted = self.admit(pairs)
            self.skip_ahead = 0 if admitted else min(2 * len(pairs), SKIP_AHEAD)
            self.source.ahead = max(self.source.ahead, self.skip_ahead)
            self._add(admitted)
        self.source.wake()  # go on skipping after main has seen to other things

    def next_batch(
        self, *, only_full: bool = False, most: int = BATCH_ITEMS
    ) -> tuple[Batch, Task] | None:
        """Return the next batch and its task; None where there is nothing to do at the moment.

        Args:
            only_full: Whether to wait until there are enough items for a full batch: for a worker
                that still has a batch, several small ones would only be slower.
            most: Largest number of items in the batch.
        """
        while not self.stopped and (batch := self._take(most, only_full=only_full)):
            if task := self._pack(batch):
                return batch, task
        return None

    def take_pending(self) -> list[Item]:
        """Return and remove the items that wait for a worker, for a caller that does none."""
        pending, self.pending = self.pending, []
        return pending

    def take_failed(self) -> list[Outcomes]:
        """Return the outcomes of items that could not even be sent."""
        failed, self.failed = self.failed, []
        return failed

    def completed(self, batch: Batch, report: Report, worker: str) -> Outcomes:
        """Turn a report on some items of a batch into their outcomes."""
        results = report.results.split("\n")
        count = len(results)
        pairs = batch.pairs[batch.done : batch.done + count]
        batch.done += count
        self.cpu_seconds += report.cpu
        self.sizer.observe(count, report.elapsed, len(report.results))
        attempts = batch.attempts + 1
        postponed = report.retryable if attempts < self.max_attempts else []
        for at in postponed:
            self._postpone(pairs[at], attempts, report.errors[at])
        return Outcomes(
            keys=[key for key, _ in pairs],
            results=results,
            errors=report.errors,
            attempts=attempts,
            worker=worker,
            started=report.started,
            seconds=report.seconds,
            peak_memory=report.peak_memory,
            postponed=frozenset(postponed),
        )

    def release(self, batch: Batch, numbers: range) -> None:
        """Take back the last items of a batch, which were not begun."""
        keep = numbers.start - batch.first
        self._return(batch.pairs[keep : batch.end], batch.attempts)
        batch.end = min(batch.end, keep)

    def unpickle_failed(self, batch: Batch, reason: str, worker: str) -> list[Outcomes]:
        """Fail an item whose payload does not unpickle; of several, send each alone to find it."""
        if len(batch.pairs) == 1:
            outcomes = [_failed(batch.pairs[0], reason, batch.attempts + 1, worker)]
        else:
            self.isolated.extend((pair, 0) for pair in batch.pairs)
            outcomes = list[Outcomes]()
        batch.done = batch.end
        return outcomes

    def lost(self, batch: Batch, current: int, death: WorkerDeath) -> list[Outcomes]:
        """Try again, or fail, the items of a worker that died.

        Only its current item counts an attempt. If that is the whole task (it was unpacking or
        sending), each item goes alone the next time, so that a second death identifies one.

        Args:
            batch: One of the batches that it had.
            current: Its current item, or whole task.
            death: The worker, the reason, and the seconds that it spent on that item.
        """
        open_pairs, at = batch.open, current - batch.first - batch.done
        batch.end = batch.done
        if current == whole_task(batch.first):
            if len(batch.pairs) > 1:
                self.isolated.extend((pair, 0) for pair in open_pairs)
                return []
            at = 0
        if not 0 <= at < len(open_pairs):
            self._return(open_pairs, batch.attempts)
            return []
        self._return(open_pairs[:at] + open_pairs[at + 1 :], 0)
        return self._blame(open_pairs[at], batch.attempts + 1, death)

    def _blame(self, pair: Item, attempts: int, death: WorkerDeath) -> list[Outcomes]:
        if attempts >= self.max_attempts:
            failed = _failed(pair, death.error, attempts, death.worker, death.seconds)
            return [replace(failed, peak_memory=death.memory)]
        self.events.note_killed(death.worker, death.reason, pair[0], death.seconds, attempts)
        self._log_retry(pair[0], "", attempts, death.reason)
        self.isolated.append((pair, attempts))
        return []

    def _postpone(self, pair: Item, attempts: int, error: str) -> None:
        delay = self.waiting.put(pair, attempts)
        self._log_retry(pair[0], f" in {delay:.1f} s", attempts, error_name(error))

    def _log_retry(self, key: str, when: str, attempts: int, why: str) -> None:
        text, at = "item %s is tried again%s, attempt %d of %d: %s", {"item": key}
        log.info(text, key, when, attempts + 1, self.max_attempts, why, extra=at)

    def _return(self, pairs: list[Item], attempts: int) -> None:
        if attempts:
            self.isolated.extend((pair, attempts) for pair in pairs)
        else:
            self.pending.extend(pairs)

    def _add(self, pairs: list[Item]) -> None:
        if self.left is not None:
            pairs = pairs[: self.left]
            self.left -= len(pairs)
            if not self.left:
                self.source.stop()
        self.pending.extend(pairs)

    def _take(self, most: int, *, only_full: bool) -> Batch | None:
        if self.isolated:
            pair, attempts = self.isolated.popleft()
            return self._batch([pair], attempts)
        self.fill()
        size = min(self.sizer.size, most)
        wait = only_full and len(self.pending) < size and not self.read_out
        if wait or not self.pending:
            return None
        batch = self._batch(self.pending[:size])
        del self.pending[:size]
        return batch

    def _batch(self, pairs: list[Item], attempts: int = 0) -> Batch:
        first, self.number = self.number, self.number + len(pairs)
        return Batch(first, pairs, attempts, end=len(pairs))

    def _pack(self, batch: Batch) -> Task | None:
        """Return a batch's task; None where a payload does not pickle, which fails that item."""
        try:
            task = batch.task(named=self.named)
        except Exception as error:
            if len(batch.pairs) == 1:
                why = str(error) if isinstance(error, UnsendableError) else describe(error)
                reason = f"payload cannot be sent to a worker: {why}"
                self.failed.append(_failed(batch.pairs[0], reason, batch.attempts + 1))
            else:
                self.isolated.extend((pair, 0) for pair in batch.pairs)
            return None
        self.sizer.limit_bytes(len(batch.pairs), len(task.blob))
        return task


def _failed(
    pair: Item, reason: str, attempts: int, worker: str = "", seconds: float = 0.0
) -> Outcomes:
    return Outcomes(
        keys=[pair[0]],
        results=[""],
        errors={0: reason},
        attempts=attempts,
        worker=worker,
        started=time.time() - seconds,
        seconds=[seconds],
    )
