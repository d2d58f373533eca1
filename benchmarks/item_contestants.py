"""Ways to have workers do many items."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any

from .item_peer import CONTEXT, WORKERS, Peer, Work
from .ours import Ours


class Pool(Peer):
    """multiprocessing.Pool.imap_unordered, or billiard's."""

    def __init__(self, chunk: int = 1, module: str = "multiprocessing") -> None:
        """Take the pool from ``module``."""
        super().__init__(chunk)
        self.module = module

    def open(self) -> None:
        """Start the workers."""
        context = import_module(self.module).get_context(self.start_method)
        self.pool = context.Pool(self.workers)

    def results(self, work: Work, payloads: Iterable[Any]) -> Iterable[Any]:
        """Do the items."""
        found: Iterable[Any] = self.pool.imap_unordered(work, payloads, self.chunk)
        return found

    def close(self) -> None:
        """End the workers."""
        self.pool.close()
        self.pool.join()


class PoolMap(Pool):
    """multiprocessing.Pool.map with its automatic chunks; it reads all input ahead."""

    def results(self, work: Work, payloads: Iterable[Any]) -> Iterable[Any]:
        """Do the items."""
        found: Iterable[Any] = self.pool.map(work, payloads)
        return found


class Executor(Peer):
    """concurrent.futures.ProcessPoolExecutor, or loky's."""

    def open(self) -> None:
        """Start the workers."""
        context = multiprocessing.get_context(self.start_method)
        self.pool = ProcessPoolExecutor(self.workers, mp_context=context)

    def results(self, work: Work, payloads: Iterable[Any]) -> Iterable[Any]:
        """Do the items."""
        found: Iterable[Any] = self.pool.map(work, payloads, chunksize=self.chunk)
        return found

    def close(self) -> None:
        """End the workers."""
        self.pool.shutdown()


class Loky(Executor):
    """loky, which always starts fresh interpreters."""

    def open(self) -> None:
        """Start the workers."""
        self.pool = import_module("loky").ProcessPoolExecutor(WORKERS)


class Joblib(Peer):
    """joblib with its automatic batches."""

    def open(self) -> None:
        """Start the workers."""
        self.pool = import_module("joblib").Parallel(WORKERS, return_as="generator_unordered")

    def results(self, work: Work, payloads: Iterable[Any]) -> Iterable[Any]:
        """Do the items."""
        delayed = import_module("joblib").delayed(work)
        found: Iterable[Any] = self.pool(delayed(payload) for payload in payloads)
        return found

    def close(self) -> None:
        """End the workers, which joblib keeps for the next call."""
        import_module("joblib.externals.loky").get_reusable_executor().shutdown()


class Pebble(Peer):
    """pebble.ProcessPool."""

    def open(self) -> None:
        """Start the workers."""
        self.pool = import_module("pebble").ProcessPool(WORKERS, context=CONTEXT)

    def results(self, work: Work, payloads: Iterable[Any]) -> Iterable[Any]:
        """Do the items."""
        found: Iterable[Any] = self.pool.map(work, payloads, chunksize=self.chunk).result()
        return found

    def close(self) -> None:
        """End the workers."""
        self.pool.close()
        self.pool.join()


class Mpire(Peer):
    """mpire.WorkerPool with its automatic chunks."""

    def open(self) -> None:
        """Start the workers."""
        self.pool = import_module("mpire").WorkerPool(WORKERS, start_method="fork", keep_alive=True)

    def results(self, work: Work, payloads: Iterable[Any]) -> Iterable[Any]:
        """Do the items."""
        found: Iterable[Any] = self.pool.imap_unordered(work, list(payloads))
        return found

    def close(self) -> None:
        """End the workers."""
        self.pool.stop_and_join()


class TwoQueues(Peer):
    """The usual hand-written design: a queue of chunks out, a queue of results back."""

    def open(self) -> None:
        """Create the queues; the workers start with the first work."""
        self.tasks: Any = CONTEXT.Queue()
        self.done: Any = CONTEXT.Queue()
        self.processes: list[Any] = []

    def results(self, work: Work, payloads: Iterable[Any]) -> Iterator[Any]:
        """Do the items, some chunks ahead."""
        if not self.processes:
            self.processes = [
                CONTEXT.Process(target=self._serve, args=(work,)) for _ in range(WORKERS)
            ]
            for process in self.processes:
                process.start()
        chunks = iter(partial(lambda source: list(islice(source, self.chunk)), iter(payloads)), [])
        sent = sum(1 for chunk in islice(chunks, 2 * WORKERS) if not self.tasks.put(chunk))
        while sent:
            yield from self.done.get()
            sent -= 1
            sent += sum(1 for chunk in islice(chunks, 1) if not self.tasks.put(chunk))

    def close(self) -> None:
        """Send one sentinel for each worker."""
        for _ in self.processes:
            self.tasks.put(None)
        for process in self.processes:
            process.join()

    def _serve(self, work: Work) -> None:
        for chunk in iter(self.tasks.get, None):
            self.done.put([work(payload) for payload in chunk])


class DaskMap(Peer):
    """dask: client.map, one future for each item."""

    def open(self) -> None:
        """Start a cluster on this machine."""
        self.pool = import_module("distributed").Client(
            n_workers=WORKERS, threads_per_worker=1, dashboard_address=None
        )

    def results(self, work: Work, payloads: Iterable[Any]) -> Iterator[Any]:
        """Do the items."""
        futures = self.pool.map(work, list(payloads), pure=False)
        as_completed = import_module("distributed").as_completed
        return (result for _, result in as_completed(futures, with_results=True))

    def close(self) -> None:
        """End the cluster."""
        self.pool.shutdown()


CONTESTANTS: dict[str, tuple[Callable[[], Peer], int]] = {
    "ours, process": (partial(Ours, "process"), 1_000_000),
    "ours, process by fork": (partial(Ours, "process", "fork"), 1_000_000),
    "ours, pool": (partial(Ours, "pool"), 1_000_000),
    "ours, dask": (partial(Ours, "dask"), 100_000),
    "Pool.map": (PoolMap, 1_000_000),
    "Pool.imap_unordered": (Pool, 20_000),
    "Pool.imap_unordered(32)": (partial(Pool, 32), 300_000),
    "Pool.imap_unordered(1000)": (partial(Pool, 1000), 1_000_000),
    "ProcessPoolExecutor.map": (Executor, 4_000),
    "ProcessPoolExecutor.map(1000)": (partial(Executor, 1000), 1_000_000),
    "loky(1000)": (partial(Loky, 1000), 500_000),
    "joblib": (Joblib, 100_000),
    "pebble(1000)": (partial(Pebble, 1000), 100_000),
    "mpire": (Mpire, 100_000),
    "billiard(1000)": (partial(Pool, 1000, "billiard"), 1_000_000),
    "two Queues(1000)": (partial(TwoQueues, 1000), 1_000_000),
    "dask client.map": (DaskMap, 1_000),
}
"""Name to what opens it, and about how many tiny items it does in a second."""
SWEPT: dict[str, Callable[[int], Peer]] = {
    "Pool.imap_unordered": Pool,
    "ProcessPoolExecutor.map": Executor,
}
"""Peers that take a chunk size, for the sweep."""


def sweep(*chunks: int) -> list[str]:
    """Return the names of those who can be told a chunk size, with each of some."""
    return [kind if chunk == 1 else f"{kind}({chunk})" for kind in SWEPT for chunk in chunks]


def contestant(name: str) -> Peer:
    """Return one of ``CONTESTANTS``, or one with the chunk size that its name says."""
    if name in CONTESTANTS:
        return CONTESTANTS[name][0]()
    kind, _, chunk = name.removesuffix(")").partition("(")
    return SWEPT[kind](int(chunk))
