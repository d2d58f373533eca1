"""The size of a batch: items that travel to a worker together."""

BATCH_SECONDS = 0.02
QUICK_BATCHES = 2.5
"""Factor of the intended duration up to which a batch counts as quick."""
BATCH_ITEMS = 2_000
BATCH_BYTES = 1 << 18


class BatchSizer:
    """Chooses the number of items in a batch: some milliseconds of work, and not much memory."""

    def __init__(self, batch_seconds: float = BATCH_SECONDS) -> None:
        """Begin with single items."""
        self.batch_seconds = batch_seconds
        self.size = 1
        self.seconds_each = float("inf")

    @property
    def quick(self) -> bool:
        """Whether batches are so quick that a worker should have the next one in advance."""
        return self.seconds_each * self.size < QUICK_BATCHES * self.batch_seconds

    def observe(self, count: int, seconds: float, size: int) -> None:
        """Learn from ``count`` items that took ``seconds`` and whose report has ``size`` bytes."""
        each = max(seconds / count, 1e-9)
        slower = self.seconds_each == float("inf") or each > self.seconds_each
        self.seconds_each = each if slower else 0.7 * self.seconds_each + 0.3 * each
        self.limit_bytes(count, size)
        fitting = self.batch_seconds / self.seconds_each
        self.size = max(1, int(min(fitting, BATCH_ITEMS, 2 * self.size)))

    def limit_bytes(self, count: int, size: int) -> None:
        """Bound a batch's bytes, given that ``count`` items have ``size`` of them."""
        self.size = max(1, min(self.size, BATCH_BYTES * count // max(size, 1)))
