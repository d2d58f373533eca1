"""The batches that one worker has, as main knows them."""

from dataclasses import replace

from .backlog import Backlog
from .batch import Batch, WorkerDeath
from .messages import IDLE, Released, Report, UnpickleFailed, whole_task
from .outcomes import Outcomes

Answer = Report | Released | UnpickleFailed


def part_before(answer: Report | UnpickleFailed, late: int) -> Report | UnpickleFailed | None:
    """Return the part of an answer about the items before one that took too long, if any.

    The rest is invalid: the signal that asks for the stack may end a call into C, and ``work``.
    """
    count = (late if late >= 0 else whole_task(late)) - answer.first
    if count <= 0:
        return None
    if isinstance(answer, UnpickleFailed) or count >= len(answer.seconds):
        return answer
    return replace(
        answer,
        results="\n".join(answer.results.split("\n")[:count]),
        elapsed=sum(answer.seconds[:count]),
        seconds=answer.seconds[:count],
        errors={at: text for at, text in answer.errors.items() if at < count},
        retryable=[at for at in answer.retryable if at < count],
    )


class InFlight:
    """Batches under way, in the order in which the worker does them."""

    def __init__(self, backlog: Backlog) -> None:
        """Begin without any; what is lost or released goes back to ``backlog``."""
        self.backlog = backlog
        self.batches: dict[int, Batch] = {}

    def __len__(self) -> int:
        """Return the number of unfinished batches."""
        return len(self.batches)

    @property
    def open_items(self) -> int:
        """The number of items without a report."""
        return sum(batch.end - batch.done for batch in self.batches.values())

    def put(self, batch: Batch) -> None:
        """Add a batch."""
        self.batches[batch.first] = batch

    def find(self, current: int) -> Batch | None:
        """Return the batch that an item's number, or ``whole_task`` of it, belongs to."""
        if current < 0:
            return self.batches.get(whole_task(current))  # which is its own inverse
        batches = self.batches.values()
        return next((b for b in batches if b.first <= current < b.first + len(b.pairs)), None)

    @property
    def first_open(self) -> int | None:
        """Number of the first item that is not reported."""
        return next((b.first + b.done for b in self.batches.values() if b.open), None)

    def key(self, current: int) -> str | None:
        """Return the key of the item with that number; of the first, where the worker is idle.

        None if that item has its outcome.
        """
        if current == IDLE:
            return next((b.open[0][0] for b in self.batches.values() if b.open), None)
        batch = self.find(current) if current >= 0 else None
        if batch and batch.done <= current - batch.first < batch.end:
            return batch.pairs[current - batch.first][0]
        return None

    def resolve(self, answer: Answer, worker: str) -> list[Outcomes]:
        """Turn a worker's answer into outcomes."""
        if isinstance(answer, Released):
            for numbers in filter(None, answer.numbers):
                if batch := self.find(numbers.start):
                    self.backlog.release(batch, numbers)
                    self._drop_if_finished(batch)
            return []
        outcomes: list[Outcomes] = []
        if batch := self.find(answer.first):
            if isinstance(answer, Report):
                outcomes = [self.backlog.completed(batch, answer, worker)]
            else:
                outcomes = self.backlog.unpickle_failed(batch, answer.reason, worker)
            self._drop_if_finished(batch)
        return outcomes

    def release_behind(self, current: int) -> None:
        """Take back what comes after the item with that number."""
        waiting = [b for b in self.batches.values() if b.first + b.end > current + 1]
        for batch in waiting:
            end = batch.first + batch.end
            self.backlog.release(batch, range(max(batch.first, current + 1), end))
            self._drop_if_finished(batch)

    def lose(self, current: int, death: WorkerDeath) -> list[Outcomes]:
        """Try again, or fail, a dead worker's current item; take back everything else."""
        outcomes: list[Outcomes] = []
        if batch := self.find(current):
            outcomes = self.backlog.lost(batch, current, death)
        for batch in self.batches.values():
            self.backlog.release(batch, range(batch.first + batch.done, batch.first + batch.end))
        self.batches.clear()
        return outcomes

    def _drop_if_finished(self, batch: Batch) -> None:
        if batch.done >= batch.end:
            self.batches.pop(batch.first, None)
