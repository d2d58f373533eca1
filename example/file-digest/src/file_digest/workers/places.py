"""The places of workers: 0 to N-1, each with two numbers, for a worker and its successor."""

from collections.abc import Container

from ..settings import MOST_WORKERS


def place_of(index: int) -> int:
    """Return the place that a number belongs to."""
    return index % MOST_WORKERS


class Places:
    """The numbers that workers are to be started with, and how many places there are."""

    MOST = 2 * MOST_WORKERS
    """Size of the shared memory of all workers, which cannot grow later."""

    def __init__(self, wanted: int) -> None:
        """Create ``wanted`` places, all of them free."""
        self.wanted, self.free = wanted, list(range(wanted))[::-1]

    def resize(self, wanted: int, held: Container[int]) -> None:
        """Change the number of places; those that ``held`` names still have a worker."""
        fresh = [place for place in range(self.wanted, wanted) if place not in held]
        kept = [index for index in self.free if place_of(index) < wanted]
        self.wanted, self.free = wanted, fresh[::-1] + kept

    def free_beside(self, index: int) -> None:
        """Free the other number of a place, once, for a successor."""
        other = (index + MOST_WORKERS) % self.MOST
        if other not in self.free:
            self.free.append(other)

    def release(self, index: int) -> None:
        """Free a number of a place, unless the place is gone or has a free number."""
        place = place_of(index)
        if place < self.wanted and place not in map(place_of, self.free):
            self.free.append(index)
