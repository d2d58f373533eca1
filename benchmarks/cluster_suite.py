"""dask on a cluster: scheduler and workers are processes of their own, as on several machines."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import repeat
from pathlib import Path
from typing import Any

from .harness import Figures
from .ours import Ours
from .payloads import wait

OURS, KILLED = "ours, dask", "ours, dask, a worker killed"
PEER = "dask client.map"
BATCHES = (1, 16, 64)
"""Sizes of the batches in which a client sends its tasks to the scheduler."""
ITEM_SECONDS = 0.01
START_SECONDS = 60.0


def contestants() -> Sequence[str]:
    """Return their names."""
    return [OURS, KILLED, *(PEER if size == 1 else f"{PEER}({size})" for size in BATCHES)]


def measure(name: str, options: dict[str, Any], folder: Path) -> Figures:
    """Measure one contestant; ``options`` are workers and seconds."""
    os.environ["BENCH_WORK"] = "wait"
    workers = options["workers"]
    total = max(4, int(options["seconds"] / ITEM_SECONDS)) * workers
    with _cluster(workers, folder) as client:
        if name in {OURS, KILLED}:
            return _ours(client, workers, total, folder, kill=name == KILLED)
        _, _, size = name.removesuffix(")").partition("(")
        return _speed(workers, *_map(client, workers, total, int(size or 1)))


@contextmanager
def _cluster(workers: int, folder: Path) -> Iterator[Any]:
    """Start scheduler and workers; yield a client once all are there."""
    address = folder / "scheduler.json"
    with ExitStack() as stack:
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        _start(stack, "scheduler", *options, "--scheduler-file", str(address))
        for number in range(workers):
            options = ("--nthreads", "1", "--no-dashboard", "--name", f"machine-{number}")
            where = ("--local-directory", str(folder), "--scheduler-file", str(address))
            _start(stack, "worker", *options, *where)
        _await(address)
        client = import_module("distributed").Client(
            scheduler_file=str(address), timeout=START_SECONDS
        )
        with client:
            client.wait_for_workers(workers, timeout=START_SECONDS)
            yield client


def _start(stack: ExitStack, *command: str) -> None:
    process = subprocess.Popen([sys.executable, "-m", "dask", *command])
    stack.callback(process.wait)
    stack.callback(process.kill)  # the last first: kill, then wait


def _await(address: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not address.exists():
        if time.monotonic() > deadline:
            raise RuntimeError("the scheduler has not started")
        time.sleep(0.01)


def _map(client: Any, workers: int, total: int, size: int) -> tuple[int, float]:
    """Do the items by dask alone; return how many and how long they took."""
    client.gather(client.map(wait, [ITEM_SECONDS] * workers, pure=False))  # all are warm
    began = time.perf_counter()
    futures = client.map(wait, [ITEM_SECONDS] * total, pure=False, batch_size=size)
    done = sum(1 for _ in import_module("distributed").as_completed(futures, with_results=True))
    return done, time.perf_counter() - began


@dataclass(slots=True)
class Marks:
    """Notes taken while the service does the items; times by ``perf_counter``."""

    done: int = 0
    warm: int = 0
    """Number of results by the time at which each worker had done something."""
    warm_at: float = 0.0
    last: float = 0.0
    killed_at: float = 0.0
    replaced_at: float = 0.0


def _ours(client: Any, workers: int, total: int, folder: Path, *, kill: bool) -> Figures:
    """Do the items by the service; kill a worker once all are warm, if asked to.

    Raises:
        RuntimeError: Not every item came back once, or nobody took a killed worker's place.
    """
    who, marks = _service(client, workers), Marks()
    for number in who.counts(wait, _items(total, marks, kill=kill), folder):
        marks.done, marks.last = marks.done + number, time.perf_counter()
        if not marks.warm and who.warm:
            marks.warm, marks.warm_at = marks.done, marks.last
            if kill:
                os.kill(next(iter(client.run(os.getpid).values())), signal.SIGKILL)
                marks.killed_at = time.perf_counter()
        if marks.killed_at and not marks.replaced_at and len(who.seen) > workers:
            marks.replaced_at = marks.last
    who.close()
    if kill and marks.replaced_at:
        return {"replaced_s": marks.replaced_at - marks.killed_at}
    if kill or marks.done != total:
        raise RuntimeError(f"{marks.done} items came back, from {len(who.seen)} workers")
    return _speed(workers, total - marks.warm, marks.last - marks.warm_at)


def _service(client: Any, workers: int) -> Ours:
    who = Ours("dask")
    who.workers = workers
    names = ("scheduler_file", "tls_ca", "tls_cert", "tls_key")
    where = {"scheduler": client.scheduler.address, "no_dashboard": True}
    who.settings["engine"] = dict.fromkeys(names) | where
    return who


def _items(total: int, marks: Marks, *, kill: bool) -> Iterator[float]:
    """Yield payloads; as long as it takes where a worker is to be replaced."""
    yield from repeat(ITEM_SECONDS, total)
    deadline = time.monotonic() + START_SECONDS
    while kill and not marks.replaced_at and time.monotonic() < deadline:
        yield ITEM_SECONDS


def _speed(workers: int, items: int, seconds: float) -> Figures:
    rate = items / seconds
    return {"items_per_second": rate, "efficiency": rate * ITEM_SECONDS / workers}
