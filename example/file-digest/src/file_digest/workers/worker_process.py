"""Main's view of one worker process."""

from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING

from ..items.backlog import Backlog
from ..system.clock import Clock
from ..system.processes import exitcode_of
from .connection import WorkerConnection
from .handle import WorkerHandle
from .places import place_of

if TYPE_CHECKING:
    from ..log.output import OutputPipe


class Worker(WorkerHandle):
    """A worker process."""

    def __init__(
        self,
        backlog: Backlog,
        clock: Clock,
        index: int,
        process: BaseProcess,
        connection: WorkerConnection,
    ) -> None:
        """Describe a process that was just started, with its numbers at ``index``."""
        super().__init__(process.name, backlog, clock)
        self.index, self.process, self.connection = index, process, connection
        self.place = place_of(index)
        self.output: OutputPipe | None = None
        self.stack_file = ""

    @property
    def exitcode(self) -> int | None:
        """The exit code of its process; None while it lives."""
        return exitcode_of(self.process)

    @property
    def sentinel(self) -> int:
        """A handle for ``connection.wait``, ready once its process has ended."""
        return self.process.sentinel

    def has_room(self, depth: int) -> bool:
        """Whether it may have another batch, and its socket takes one."""
        return super().has_room(depth) and not self.connection.outgoing
