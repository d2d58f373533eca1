"""Count what main spends processor time on, with real workers and with stand-ins for many."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from itertools import count
from multiprocessing import connection
from pathlib import Path
from typing import Any

from . import rendered, stand_ins
from .harness import Figures
from .machine import cpu_seconds
from .stand_ins import MODEL, PLACE

WORKERS, STAND_INS = "workers", "stand-ins"
JOIN_SECONDS = 10.0


def contestants() -> Sequence[str]:
    """Return who answers main."""
    return [WORKERS, STAND_INS]


@dataclass
class Counts:
    """Main's work so far."""

    items: int = 0
    batches: int = 0
    """Reports that came."""
    wakes: int = 0
    """Returns from a wait for events."""
    glances: int = 0
    """Questions whether a worker has room for another batch."""
    looks: int = 0
    """Checks of a worker: whether it lives, which item it is at."""
    cpu: float = 0.0
    others: float = 0.0
    """Processor time of the stand-ins."""
    at: float = 0.0

    def since(self, earlier: "Counts") -> Figures:
        """Return how much more there is."""
        names = [each.name for each in fields(self)]
        return {name: getattr(self, name) - getattr(earlier, name) for name in names}


class Meter:
    """Measures for some seconds, once all workers are ready and warm."""

    def __init__(self, options: dict[str, Any]) -> None:
        """Plan it."""
        self.options, self.counts = options, Counts()
        self.begins = self.ends = float("inf")
        self.begun: Counts | None = None
        self.figures: Figures = {}

    def look(self, manager: Any, now: float) -> None:
        """Begin or end where it is time."""
        if self.begins == float("inf"):
            workers = manager.workers
            if len(workers) == manager.wanted and all(worker.ready for worker in workers):
                self.begins = now + self.options["warm_seconds"]
        elif not self.begun and now >= self.begins:
            self.begun, self.ends = self._noted(manager, now), now + self.options["seconds"]
        elif self.begun and not self.figures and now >= self.ends:
            self.figures = self._noted(manager, now).since(self.begun)

    def _noted(self, manager: Any, now: float) -> Counts:
        cpu, others = time.process_time(), manager.cpu_of_others()
        return replace(self.counts, cpu=cpu, others=others, at=now)

    def items(self, _inputs: Sequence[str]) -> Iterator[tuple[str, float]]:
        """Yield items for as long as is measured: the job's own function."""
        length = self.options["milliseconds"]
        for number in count():
            if self.figures:
                break
            yield str(number), length


def measure(name: str, options: dict[str, Any], folder: Path) -> Figures:
    """Count what main does for ``options["workers"]``, with a journal or without."""
    os.environ["BENCH_WAITS"] = "1"
    meter, main = Meter(options), rendered.module(MODEL, "main")
    manager = _stand_ins(meter) if name == STAND_INS else _counting(meter)
    rendered.module(MODEL, "workers.supervisor").WorkerManager = manager
    rendered.module(MODEL, "job").items = meter.items
    given = rendered.settings(MODEL, folder, workers=options["workers"])
    if options["journal"]:
        main.run(given, [], rendered.module(MODEL, "cli.progress").Progress())
    else:
        _run_without_journal(main, given)
    if not meter.figures:
        raise RuntimeError("the run ended before all was measured")
    rows = meter.figures["items"] if options["journal"] else 0
    return meter.figures | {"rows": rows} | policy()


def policy() -> Figures:
    """Return what the service's own constants say of batches and looks."""
    sizes = rendered.module(MODEL, "items.batch_size")
    manager = rendered.module(MODEL, "workers.manager").ProcessManager
    return {
        "of_batch_seconds": sizes.BATCH_SECONDS,
        "of_batch_items": sizes.BATCH_ITEMS,
        "of_quick_batches": sizes.QUICK_BATCHES,
        "of_prefetch": manager.PREFETCH,
        "of_tick": rendered.module(MODEL, "workers.supervisor").TICK,
        "of_most_workers": rendered.module(MODEL, "settings").MOST_WORKERS,
    }


def _run_without_journal(main: Any, given: Any) -> None:
    with main.running(given, [], nullcontext) as (service, _):
        backlog = rendered.module(MODEL, "items.backlog").Backlog(service.source, list, 1)
        for _ in service.outcomes(backlog):
            pass


def _counting(meter: Meter) -> Any:
    """Return the class of a rendered manager that counts."""
    report = rendered.module(MODEL, "items.messages").Report
    counts = meter.counts

    class Counting(rendered.module(MODEL, "workers.engine").WorkerManager):  # type: ignore[misc] # rendered
        """Counts what passes through it."""

        def poll(self, seconds: float) -> Iterator[tuple[Any, Any]]:
            """Count events."""
            meter.look(self, time.monotonic())
            counts.wakes += 1
            counts.glances += len(self.workers) * (self.PREFETCH if self.backlog.sizer.quick else 1)
            for worker, event in super().poll(seconds):
                if type(event) is report:
                    counts.batches += 1
                    counts.items += len(event.seconds)
                yield worker, event

        def refresh(self) -> list[Any]:
            """Count looks."""
            counts.looks += len(self.workers)
            gone: list[Any] = super().refresh()
            return gone

        def cpu_of_others(self) -> float:
            """Return nothing: workers are others' business."""
            return 0.0

    return Counting


class StandInProcess:
    """Stands for a stand-in's process in main: it lives until its socket ends."""

    pid = _popen = None

    def __init__(self, name: str, sentinel: int) -> None:
        """Live until the other end of the sentinel is closed."""
        self.name, self.sentinel = name, sentinel

    @property
    def exitcode(self) -> int | None:
        """Its exit code; the question takes as long as for a forkserver's child."""
        return 0 if connection.wait([self.sentinel], 0) else None

    def join(self, _seconds: float) -> None:
        """Let go of it."""
        os.close(self.sentinel)


def _stand_ins(meter: Meter) -> Any:
    """Return the class of a manager whose workers are stand-ins."""

    class StandIns(_counting(meter)):  # type: ignore[misc] # rendered
        """Starts one process for all, and gives it the workers' sockets."""

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.control, theirs = socket.socketpair()
            work = (theirs, self.shared.current, meter.options["milliseconds"] / 1000)
            self.host = self.context.Process(target=stand_ins.host, args=work, daemon=True)
            self.host.start()
            theirs.close()

        def _start_process(self, args: Any, name: str) -> StandInProcess:
            sentinel, theirs = os.pipe()
            what = [args.sock.fileno(), theirs]
            socket.send_fds(self.control, [PLACE.pack(args.index)], what)
            os.close(theirs)
            return StandInProcess(name, sentinel)

        def memory_of(self, _worker: Any) -> int:
            """Return the host's: it takes as long to read."""
            used: int = rendered.module(MODEL, "system.memory").used_by(self.host.pid)
            return used

        def cpu_of_others(self) -> float:
            """Return the stand-ins'."""
            return cpu_seconds(self.host.pid)

        def end(self, *, stopping: bool) -> None:
            """End all stand-ins, then their process."""
            super().end(stopping=stopping)
            self.control.close()
            self.host.join(JOIN_SECONDS)

    return StandIns
