"""What is to be done: items become batches, reports become outcomes, nothing is lost between.

    job.items ─▶ Source (a thread) ─▶ Backlog ─▶ Batch ─▶ a worker
                                        ▲  │
                     given back, lost ──┘  └─▶ Outcome

Who does the batches is the execution model's business; all of them share this module.
"""

import pickle
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..system.errors import describe
from ..worker import whole_task
from .messages import Pair, Report, Task
from .outcomes import Outcomes
from .payloads import UnsendableError
from .source import READ_AHEAD, Source

BATCH_SECONDS = 0.02
BATCH_ITEMS = 2_000
BATCH_BYTES = 1 << 18
QUICK_SECONDS = 0.05
SKIP_ROUNDS = 100


@dataclass(slots=True)
class Batch:
    """Items on their way through one worker; those from ``done`` to ``end`` are still open."""

    first: int
    pairs: list[Pair]
    attempts: int
    """How often its one item was tried before; 0 in a batch of several."""
    done: int = 0
    end: int = 0

    @property
    def open(self) -> list[Pair]:
        """The items without a report."""
        return self.pairs[self.done : self.end]

    def task(self) -> Task:
        """Return what to send to a worker.

        Raises:
            UnsendableError: A payload did not pickle.
            MemoryError: Together they are too large.
        """
        blob = pickle.dumps([payload for _, payload in self.pairs], pickle.HIGHEST_PROTOCOL)
        return Task(self.first, blob, len(self.pairs))


@dataclass(frozen=True, slots=True)
class Death:
    """That a worker died."""

    worker: str
    reason: str
    seconds: float
    """How long it had held its item."""


Holding = dict[str, tuple[str, float]]
"""Worker's name to the key of the item that it is at, and since when by ``time.monotonic``."""


class Sizer:
    """How many items to a batch, so that one takes some milliseconds and not much memory."""

    def __init__(self, batch_seconds: float = BATCH_SECONDS) -> None:
        """Begin with single items."""
        self.batch_seconds = batch_seconds
        self.size = 1
        self.seconds_each = float("inf")

    @property
    def quick(self) -> bool:
        """Whether a batch is over so soon that a worker should have the next at hand."""
        return self.seconds_each * self.size < QUICK_SECONDS

    def observe(self, count: int, seconds: float, size: int) -> None:
        """Learn from ``count`` items that took ``seconds`` and whose report has ``size`` bytes."""
        each = max(seconds / count, 1e-9)
        slower = self.seconds_each == float("inf") or each > self.seconds_each
        self.seconds_each = each if slower else 0.7 * self.seconds_each + 0.3 * each
        self.limit_bytes(count, size)
        fitting = self.batch_seconds / self.seconds_each
        self.size = max(1, int(min(fitting, BATCH_ITEMS, 2 * self.size)))

    def limit_bytes(self, count: int, size: int) -> None:
        """Have no larger batches than fit, given that ``count`` items have ``size`` bytes."""
        self.size = max(1, min(self.size, BATCH_BYTES * count // max(size, 1)))


class Backlog:
    """All items that have no outcome and that no worker holds, and the policy of trying again."""

    def __init__(
        self,
        source: Source,
        unfinished: Callable[[list[Pair]], list[Pair]],
        max_attempts: int,
    ) -> None:
        """Take items from ``source``, leave out those that ``unfinished`` leaves out."""
        self.source, self.unfinished, self.max_attempts = source, unfinished, max_attempts
        self.sizer = Sizer()
        self.returned: list[Pair] = []
        self.alone: deque[tuple[Pair, int]] = deque()
        self.failed: list[Outcomes] = []
        self.number = 0
        self.cpu_seconds = 0.0
        """Processor time of all workers so far, as they report it."""
        self.stopped = False
        self.holding: Holding = {}
        """For people to see; the execution model brings it up to date at every tick."""

    def stop(self) -> None:
        """Hand out nothing more."""
        self.stopped = True
        self.source.stop()

    @property
    def exhausted(self) -> bool:
        """Whether there is nothing to hand out, now or later, unless a worker gives it back."""
        nothing_waits = not (self.returned or self.alone or self.failed)
        return (nothing_waits and self.source.exhausted) or self.stopped

    @property
    def has_some(self) -> bool:
        """Whether there is something to hand out right now."""
        if not self.alone:
            self._read_ahead()
        return bool(self.alone or self.returned)

    def next_batch(self, *, only_full: bool = False) -> tuple[Batch, Task] | None:
        """Return the next batch and its task; None where there is nothing to do at the moment.

        Args:
            only_full: Whether to wait for more, where there is less to do than a batch can hold:
                for a worker that still has another, many small ones would only be slower.
        """
        while not self.stopped:
            if self.alone:
                pair, attempts = self.alone.popleft()
                batch = self._batch([pair], attempts)
            elif self.has_some:
                size = self.sizer.size
                if only_full and len(self.returned) < size and not self.source.exhausted:
                    break
                batch = self._batch(self.returned[:size])
                del self.returned[:size]
            else:
                break
            if task := self._pack(batch):
                return batch, task
        return None

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
        return Outcomes(
            keys=[key for key, _ in pairs],
            results=results,
            errors=report.errors,
            attempts=batch.attempts + 1,
            worker=worker,
            started=report.started,
            seconds=report.seconds,
        )

    def give_back(self, batch: Batch, numbers: range) -> None:
        """Take back the last items of a batch, which were not begun."""
        keep = numbers.start - batch.first
        self._return(batch.pairs[keep : batch.end], batch.attempts)
        batch.end = min(batch.end, keep)

    def unreadable(self, batch: Batch, reason: str, worker: str) -> list[Outcomes]:
        """Fail an item whose payload does not unpickle; look for it where there are several."""
        if len(batch.pairs) == 1:
            outcomes = [_failed(batch.pairs[0], reason, batch.attempts + 1, worker)]
        else:
            self.alone.extend((pair, 0) for pair in batch.pairs)
            outcomes = list[Outcomes]()
        batch.done = batch.end
        return outcomes

    def lost(self, batch: Batch, held: int, death: Death) -> list[Outcomes]:
        """Try again, or fail, what a worker had when it died.

        Only the item that it held counts an attempt. Where its slot names the whole task (it was
        unpacking or sending), each goes alone next time, so that a second death has one culprit.

        Args:
            batch: One of the batches that it had.
            held: What its slot said.
            death: Who died, why, and how long it had held that.
        """
        open_pairs, at = batch.open, held - batch.first - batch.done
        batch.end = batch.done
        if held == whole_task(batch.first):
            if len(batch.pairs) > 1:
                self.alone.extend((pair, 0) for pair in open_pairs)
                return []
            at = 0
        if not 0 <= at < len(open_pairs):
            self._return(open_pairs, batch.attempts)
            return []
        self._return(open_pairs[:at] + open_pairs[at + 1 :], 0)
        return self._blame(open_pairs[at], batch.attempts + 1, death)

    def _blame(self, pair: Pair, attempts: int, death: Death) -> list[Outcomes]:
        if attempts >= self.max_attempts:
            return [_failed(pair, death.reason, attempts, death.worker, death.seconds)]
        self.alone.append((pair, attempts))
        return []

    def _return(self, pairs: list[Pair], attempts: int) -> None:
        if attempts:
            self.alone.extend((pair, attempts) for pair in pairs)
        else:
            self.returned.extend(pairs)

    def _read_ahead(self) -> None:
        """Have some unfinished items at hand, as far as the source gives any at the moment."""
        self.source.ahead = max(READ_AHEAD, 2 * self.sizer.size)
        for _ in range(SKIP_ROUNDS):
            enough = len(self.returned) >= self.sizer.size
            if enough or not (pairs := self.source.take(hungry=not self.returned)):
                return
            self.returned.extend(self.unfinished(pairs))
        self.source.wake()  # go on skipping after main has seen to other things

    def _batch(self, pairs: list[Pair], attempts: int = 0) -> Batch:
        first, self.number = self.number, self.number + len(pairs)
        return Batch(first, pairs, attempts, end=len(pairs))

    def _pack(self, batch: Batch) -> Task | None:
        """Return a batch's task; None where a payload does not pickle, which fails that item."""
        try:
            task = batch.task()
        except Exception as error:
            if len(batch.pairs) == 1:
                why = str(error) if isinstance(error, UnsendableError) else describe(error)
                reason = f"payload cannot be sent to a worker: {why}"
                self.failed.append(_failed(batch.pairs[0], reason, batch.attempts + 1))
            else:
                self.alone.extend((pair, 0) for pair in batch.pairs)
            return None
        self.sizer.limit_bytes(len(batch.pairs), len(task.blob))
        return task


def _failed(
    pair: Pair, reason: str, attempts: int, worker: str = "", seconds: float = 0.0
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
