"""The execution model: each worker is a ``multiprocessing.Process``."""

from multiprocessing.process import BaseProcess

from ..items.messages import Task
from ..system.processes import start_process
from ..worker import WorkerArgs, worker_main
from .manager import ProcessManager
from .worker_process import Worker


class WorkerManager(ProcessManager):
    """The worker processes of a run."""

    def submit(self, worker: Worker, task: Task) -> None:
        """Give a worker a task, by its connection."""
        self._send(worker, task)

    def _start_process(self, args: WorkerArgs, name: str) -> BaseProcess:
        return start_process(self.context, worker_main, (args,), name)
