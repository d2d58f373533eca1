"""The rendered service as a contestant."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

from . import rendered
from .item_peer import Peer, Work


class Ours(Peer):
    """The rendered service's workers, with time limit, retries and log."""

    def __init__(self, model: str, start_method: str = "forkserver") -> None:
        """Use one execution model."""
        super().__init__()
        self.model, self.start_method = model, start_method
        self.settings: dict[str, Any] = {}
        """Of the service, besides those that all have."""
        self.stack = ExitStack()
        self.seen: set[str] = set()

    @property
    def warm(self) -> bool:
        """Whether each worker has done something."""
        return len(self.seen) >= self.workers

    def counts(self, _work: Work, payloads: Iterator[Any], folder: Path) -> Iterator[int]:
        """Yield as outcomes come; they are the job's, which does the same work."""
        how = {"workers": self.workers, "start_method": self.start_method}
        given = rendered.settings(self.model, folder, **how | self.settings)
        pairs = zip(map(str, count()), payloads, strict=False)
        for outcomes in self.stack.enter_context(rendered.running(self.model, given, pairs)):
            if outcomes:
                if outcomes.errors:
                    raise RuntimeError(outcomes.failures[-1].error)
                self.seen.add(outcomes.worker)
                self.began = min(self.began or outcomes.started, outcomes.started)
                yield len(outcomes)

    def cold(self, work: Work, payloads: Iterator[Any], folder: Path) -> int:
        """Do the same as ever: there is no warm-up."""
        return sum(self.counts(work, payloads, folder))

    def close(self) -> None:
        """End workers and listener."""
        self.stack.close()
