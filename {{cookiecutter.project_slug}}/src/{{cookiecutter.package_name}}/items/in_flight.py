"""The batches that one worker has, or one pool: what main knows of items that are under way."""

from ..worker import whole_task
from .backlog import Backlog, Batch, Death
from .messages import GivenBack, Report, Unreadable
from .outcomes import Outcomes

News = Report | GivenBack | Unreadable


class Tray:
    """Batches under way, in the order in which they were put there."""

    def __init__(self, backlog: Backlog) -> None:
        """Have none; what is lost or given back goes to ``backlog``."""
        self.backlog = backlog
        self.batches: dict[int, Batch] = {}

    def __len__(self) -> int:
        """How many batches are not finished."""
        return len(self.batches)

    @property
    def open_items(self) -> int:
        """How many items are not reported."""
        return sum(batch.end - batch.done for batch in self.batches.values())

    def put(self, batch: Batch) -> None:
        """Add a batch."""
        self.batches[batch.first] = batch

    def find(self, held: int) -> Batch | None:
        """Return the batch that an item's number, or whatever a slot says, belongs to."""
        if held < 0:
            return self.batches.get(whole_task(held))  # which is its own inverse
        batches = self.batches.values()
        return next((b for b in batches if b.first <= held < b.first + len(b.pairs)), None)

    def item(self, held: int) -> str | None:
        """Return the key of the item that a slot names."""
        batch = self.find(held) if held >= 0 else None
        return batch.pairs[held - batch.first][0] if batch else None

    def take(self, news: News, worker: str) -> list[Outcomes]:
        """Turn what a worker says into outcomes."""
        if isinstance(news, GivenBack):
            for numbers in filter(None, news.numbers):
                if batch := self.find(numbers.start):
                    self.backlog.give_back(batch, numbers)
                    self._drop_if_finished(batch)
            return []
        outcomes: list[Outcomes] = []
        if batch := self.find(news.first):
            if isinstance(news, Report):
                outcomes = [self.backlog.completed(batch, news, worker)]
            else:
                outcomes = self.backlog.unreadable(batch, news.reason, worker)
            self._drop_if_finished(batch)
        return outcomes

    def take_back(self, held: int) -> None:
        """Give back what comes after the item that a slot names."""
        waiting = [b for b in self.batches.values() if b.first + b.end > held + 1]
        for batch in waiting:
            end = batch.first + batch.end
            self.backlog.give_back(batch, range(max(batch.first, held + 1), end))
            self._drop_if_finished(batch)

    def blame(self, held: int, death: Death) -> list[Outcomes]:
        """Try again, or fail, what a dead worker's slot names; give back the rest of its batch."""
        outcomes: list[Outcomes] = []
        if batch := self.find(held):
            outcomes = self.backlog.lost(batch, held, death)
            self._drop_if_finished(batch)
        return outcomes

    def give_back(self) -> None:
        """Give back everything; nothing of it counts as tried."""
        for batch in self.batches.values():
            self.backlog.give_back(batch, range(batch.first + batch.done, batch.first + batch.end))
        self.batches.clear()

    def _drop_if_finished(self, batch: Batch) -> None:
        if batch.done >= batch.end:
            self.batches.pop(batch.first, None)
