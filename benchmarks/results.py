"""All figures of a run, and the few questions that goals, tables and pictures put to them."""

from collections.abc import Iterable
from statistics import median

from .harness import Outcome


class Results:
    """The outcomes of all cases."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        """Index them by their titles."""
        self.by_title = {outcome.case.title: outcome for outcome in outcomes}

    def values(self, title: str, name: str, figure: str) -> list[float]:
        """Return a figure of all rounds of a contestant."""
        outcome = self.by_title.get(title)
        bouts = outcome.bouts.get(name, []) if outcome else []
        return [bout[figure] for bout in bouts if bout and figure in bout]

    def median(self, title: str, name: str, figure: str) -> float | None:
        """Return its median; None where there is none."""
        values = self.values(title, name, figure)
        return median(values) if values else None

    def ratio(self, title: str, name: str, other: str, figure: str) -> float | None:
        """Return the median of the rounds' ratios: what disturbs a round disturbs both in it."""
        outcome = self.by_title.get(title)
        if outcome is None or not {name, other} <= outcome.bouts.keys():
            return None
        rounds = zip(outcome.bouts[name], outcome.bouts[other], strict=True)
        ratios = [
            a[figure] / b[figure]
            for a, b in rounds
            if a and b and figure in a and figure in b and b[figure]
        ]
        return median(ratios) if ratios else None

    def best_peer(self, title: str, figure: str) -> str | None:
        """Return the peer with the highest median."""
        outcome = self.by_title.get(title)
        peers = [name for name in outcome.bouts if not is_ours(name)] if outcome else []
        medians = {name: self.median(title, name, figure) or 0.0 for name in peers}
        return max(medians, key=lambda name: medians[name], default=None)


def is_ours(name: str) -> bool:
    """Whether a contestant is the rendered service."""
    return name.startswith("ours")
