"""Workers that log at full speed and note, where a kill cannot undo it, which calls returned."""

import random
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from .service import Run, Service, kill_process, wait_for

RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} .* writer (\S+) record (\d+) x*\.")


class Writers:
    """A run whose workers log until they are told to stop."""

    def __init__(
        self,
        service: Service,
        *options: str,
        workers: int = 4,
        pause: float = 0.0,
        **process_options: Any,
    ) -> None:
        """Start it, and wait until all write."""
        self.service, self.notes = service, service.folder / "notes"
        self.notes.mkdir()
        self.run: Run = service.start(
            str(self.notes), str(workers), str(pause), "--workers", str(workers),
            "--max-attempts", "1000", *options, **process_options,
        )  # fmt: skip
        wait_for(lambda: len(self.returned()) >= workers or self.run.process.poll(), "writers")

    def pids(self) -> list[int]:
        """Return the workers that write now."""
        pids = {int(path.name.split(".")[0]) for path in self.notes.glob("*.*")}
        return [pid for pid in pids if _lives(pid)]

    def listener(self) -> int:
        """Return the process that has the log file open, 0 if there is none."""
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.run.process.pid).children(recursive=True):
                if self._has_the_log_open(process):
                    return process.pid
        return 0

    def _has_the_log_open(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return any(file.path == str(self.service.log) for file in process.open_files())
        return False

    def kill_a_worker(self) -> None:
        """Kill one at a random moment."""
        time.sleep(random.uniform(0, 0.05))
        kill_process(random.choice(wait_for(self.pids, "a worker")))

    def kill_the_listener(self) -> float:
        """Kill it at a random moment; return how many seconds it took until another had begun."""
        time.sleep(random.uniform(0, 0.05))
        killed = wait_for(self.listener, "a listener")
        began = time.monotonic()
        kill_process(killed)
        wait_for(lambda: self.listener() not in (0, killed), "a new listener")
        return time.monotonic() - began

    def returned(self) -> dict[str, int]:
        """Return each writer's last record whose log call has returned."""
        notes = {path.name: path.read_bytes()[:8] for path in self.notes.glob("*.*")}
        return {name: int.from_bytes(note, "little") for name, note in notes.items() if any(note)}

    def longest_call(self) -> float:
        """Return how many seconds the longest log call took."""
        notes = [path.read_bytes()[8:] for path in self.notes.glob("*.*")]
        return max(int.from_bytes(note, "little") for note in notes) / 1e9

    def wait_until_all_go_on(self, seconds: float = 10.0) -> None:
        """Wait until every living worker has logged more."""
        before, living = self.returned(), self.pids()

        def all_moved() -> bool:
            now = self.returned()
            moved = {name.split(".")[0] for name in now if now[name] > before.get(name, 0)}
            return all(str(pid) in moved or not _lives(pid) for pid in living)

        wait_for(all_moved, "workers that go on logging", seconds)

    def stop(self) -> None:
        """Let the workers finish."""
        (self.notes / "stop").touch()

    def parts(self) -> list[Path]:
        """Return what is left of long records."""
        return list(self.service.log.parent.glob("*.part"))


def numbers(lines: Iterable[str]) -> dict[str, list[int]]:
    """Return the numbers of each writer's records, in the order of the lines.

    A line that mentions a writer and is no whole record is torn.
    """
    found = defaultdict(list)
    for line in lines:
        if match := RECORD.fullmatch(line):
            found[match[1]].append(int(match[2]))
        else:
            assert "writer" not in line, f"torn: {line}"
            assert "xx" not in line, f"torn: {line}"
    return found


def assert_complete(returned: dict[str, int], found: dict[str, list[int]]) -> int:
    """Make sure that all returned records are there, once and in order; return how many."""
    for writer, last in returned.items():
        written = found.get(writer, [])
        missing = set(range(1, last + 1)) - set(written)
        assert not missing, f"{len(missing)} of {last} records of {writer}, from {min(missing)}"
        assert written == list(range(1, len(written) + 1)), f"{writer}: repeated or out of order"
        assert len(written) <= last + 1, f"{writer}: more than was logged"
    return sum(returned.values())


def count_lost(returned: dict[str, int], found: dict[str, list[int]]) -> int:
    """Return how many records are missing whose log call had returned."""
    return sum(
        len(set(range(1, last + 1)) - set(found.get(writer, [])))
        for writer, last in returned.items()
    )


def _lives(pid: int) -> bool:
    with suppress(psutil.Error):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
