"""All figures of a run, and the few questions that goals, tables and pictures put to them."""

from collections.abc import Iterable
from statistics import median

from .harness import Outcome

IDEAL = "ideal: split in advance"
"""Takes part in a case beside the peers, but can be had only by whoever knows the future."""


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

    def best_peer(self, title: str, figure: str, *, lowest: bool = False) -> str | None:
        """Return the peer with the highest median, or the one with the lowest."""
        outcome = self.by_title.get(title)
        peers = [name for name in outcome.bouts if is_peer(name)] if outcome else []
        medians = {name: self.median(title, name, figure) for name in peers}
        known = {name: value for name, value in medians.items() if value is not None}
        best = min if lowest else max
        return best(known, key=lambda name: known[name], default=None)


def is_ours(name: str) -> bool:
    """Whether a contestant is the rendered service."""
    return name.startswith("ours")


def is_peer(name: str) -> bool:
    """Whether a contestant is what people could take instead."""
    return not is_ours(name) and name != IDEAL
