"""Add and remove workers during a run, as SIGTTIN and SIGTTOU ask."""

import logging
from collections.abc import Callable

from ..settings import MOST_WORKERS
from ..system.errors import WorkersCannotStartError
from ..system.requests import requests
from .engine import WorkerManager
from .handle import SURPLUS
from .worker_process import Worker

log = logging.getLogger(__name__)

STAYS = "the number of workers stays: %s"
CHANGES = f"number of workers: %d from now on, %d before; it can be 1 to {MOST_WORKERS:,}"


class Resizing:
    """Decides how many workers a run has, and which of them leave."""

    def __init__(
        self,
        manager: WorkerManager,
        revoke: Callable[[Worker], None],
        let_go: Callable[[Worker], None],
    ) -> None:
        """Keep the number as it is; ``revoke`` and ``let_go`` are the supervisor's."""
        self.manager, self.revoke, self.let_go = manager, revoke, let_go
        self.used = False

    def look(self) -> None:
        """Apply requests; let workers in surplus places leave, once they are idle."""
        if change := requests.take_resize():
            self._resize(change)
        for worker in self.manager.workers:
            if worker.leaving or worker.reason:
                continue
            if worker.place >= self.manager.wanted:
                self._let_surplus_go(worker)
            elif worker.retiring == SURPLUS:
                worker.retiring = ""  # its place is wanted again

    def _resize(self, change: int) -> None:
        if self.manager.fixed:
            log.warning(STAYS, self.manager.fixed)
            return
        before = self.manager.wanted
        wanted = min(max(1, before + change), MOST_WORKERS)
        try:
            self.manager.resize(wanted)
        except WorkersCannotStartError as error:
            log.warning(STAYS, error)
        else:
            log.info(CHANGES, wanted, before)
            self.used = True

    def _let_surplus_go(self, worker: Worker) -> None:
        """Let a worker leave once it has done its item; others get what it has not begun."""
        if worker.busy and not worker.retiring:
            self.revoke(worker)
        worker.retire(SURPLUS)
        if worker.ready and not worker.busy:
            self.let_go(worker)
