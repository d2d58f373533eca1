"""Drops files into an inbox while workers, listener and main are killed; says what became of them.

    python -m benchmarks.inbox_soak [--files N] [--seconds S] [--model process|pool|dask]

A killed main is started again at once, as systemd does. Each file must be in ``done`` exactly once,
with its digest in the journal; the exit code says whether that holds.
"""

import argparse
import hashlib
import itertools
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from uv import find_uv_bin

from . import rendered

PIDS = {
    "worker": re.compile(r"worker-\d+ is ready, pid (\d+)"),
    "listener": re.compile(r"(?:log listener pid|died \(.*\), pid) (\d+)"),
}
VICTIMS = ("listener", "main", "worker", "worker")
"""In this order, again and again."""
KILL_SECONDS = 0.5, 2.0
"""The shortest and the longest time between two kills."""
VICTIM_SECONDS = 5.0
"""A victim that is not there is waited for as long: a worker starts when it is needed."""
GONE_SECONDS = 10.0
EMPTY_SECONDS = 120.0
"""Time limit for the files that are left when the last has been dropped."""


@dataclass
class Soak:
    """A service that is always on, and what is done to it."""

    command: Sequence[str | Path]
    """Starts it: the console script."""
    folder: Path
    sent: dict[str, str] = field(default_factory=dict)
    """Digests of the files that were dropped, by their names."""
    kills: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Make the inbox."""
        self.inbox.mkdir(parents=True)

    @property
    def inbox(self) -> Path:
        """The folder into which the files are dropped."""
        return self.folder / "inbox"

    def start(self) -> subprocess.Popen[bytes]:
        """Start the service."""
        options = ("--no-progress", "--poll", "1", "--workers", "2", "--log-file", "log")
        with (self.folder / "errors").open("ab") as errors:
            return subprocess.Popen(
                [*self.command, "run", *options, "inbox"], cwd=self.folder, stderr=errors
            )

    def drop(self, number: int, chance: random.Random) -> None:
        """Drop a file: renamed when it is whole, or written in two parts under its name."""
        name, content = f"{number:05d}.bin", chance.randbytes(chance.randrange(100_000))
        self.sent[name] = hashlib.sha256(content).hexdigest()
        if number % 2:
            (self.inbox / f".{name}").write_bytes(content)
            (self.inbox / f".{name}").rename(self.inbox / name)
            return
        with (self.inbox / name).open("wb", buffering=0) as file:
            file.write(content[:1000])
            time.sleep(0.01)
            file.write(content[1000:])

    def drop_all(self, files: int, seconds: float, chance: random.Random) -> None:
        """Drop so many files, evenly over some time."""
        began = time.monotonic()
        for number in range(files):
            time.sleep(max(0.0, began + number * seconds / files - time.monotonic()))
            self.drop(number, chance)

    def kill(self, victim: str, main: subprocess.Popen[bytes], chance: random.Random) -> None:
        """Kill main, its listener or one of its workers."""
        pid, deadline = main.pid, time.monotonic() + VICTIM_SECONDS
        if victim != "main":
            while not (pid := self._pid(victim, chance)) and time.monotonic() < deadline:
                time.sleep(0.05)
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.kills[victim] += 1

    def _pid(self, victim: str, chance: random.Random) -> int:
        """Return one of the last that the log of this run names; 0 where it names none."""
        log = self.folder / "log"
        text = log.read_text("utf-8", "replace") if log.exists() else ""
        this_run = text[text.rfind("run begins: ") :]
        pids = [pid for pid in map(int, PIDS[victim].findall(this_run)) if _is_there(pid)]
        return chance.choice(pids) if pids else 0

    def left(self) -> list[Path]:
        """Return the files that are still in the inbox."""
        return [path for path in self.inbox.iterdir() if path.is_file()]

    def run(self, files: int, seconds: float, seed: int) -> None:
        """Drop the files and kill meanwhile; stop the service once the inbox is empty."""
        chance = random.Random(seed)  # noqa: S311 - no secret
        dropping = threading.Thread(
            target=self.drop_all,
            args=(files, seconds, random.Random(seed + 1)),  # noqa: S311
        )
        main = self.start()
        dropping.start()
        try:
            for victim in itertools.cycle(VICTIMS):
                dropping.join(chance.uniform(*KILL_SECONDS))
                if not dropping.is_alive():
                    break
                self.kill(victim, main, chance)
                if _has_ended(main):
                    main = self.start()
            self._await_empty(main)
            main.send_signal(signal.SIGTERM)
            main.wait(GONE_SECONDS + 10)
        finally:
            main.kill()
            main.wait()

    def _await_empty(self, main: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + EMPTY_SECONDS
        while self.left() and time.monotonic() < deadline and main.poll() is None:
            time.sleep(0.1)

    def faults(self) -> list[str]:
        """Return what is wrong with the files, each in words; nothing as a rule."""
        done = [path for path in (self.inbox / "done").rglob("*") if path.is_file()]
        counts, journal = Counter(path.name for path in done), self.digests()
        content = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in done}
        faults = [f"{path.name}: left" for path in self.left()]
        for name, digest in self.sent.items():
            if counts[name] != 1:
                faults.append(f"{name}: {counts[name]} times in done")
            elif content[name] != digest:
                faults.append(f"{name}: another content")
            elif digest not in journal.get(name, ()):
                faults.append(f"{name}: no such digest in the journal")
        return faults + [f"{name}: nobody dropped it" for name in counts.keys() - self.sent.keys()]

    def digests(self) -> dict[str, list[str]]:
        """Return the digests that the journal has, by the names of the files."""
        found: dict[str, list[str]] = {}
        with closing(sqlite3.connect(self.folder / "results.db")) as journal:
            rows = journal.execute("SELECT key, result FROM outcomes WHERE status = 'done'")
            for key, result in rows:
                name = Path(key.rpartition("#")[0]).name
                found.setdefault(name, []).append(json.loads(result)["sha256"])
        return found


def _is_there(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def _has_ended(main: subprocess.Popen[bytes]) -> bool:
    """Whether main was killed; wait a moment for that, a signal takes its time."""
    with suppress(subprocess.TimeoutExpired):
        main.wait(0.05)
    return main.returncode is not None


def soak(
    command: Sequence[str | Path], folder: Path, files: int, seconds: float, seed: int
) -> Soak:
    """Run one soak of an installed service, in a new folder."""
    one = Soak(command, folder)
    one.run(files, seconds, seed)
    return one


def main() -> int:
    """Render, install and run it; return 1 if a file was lost, left or moved twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--seconds", type=float, default=300.0, help="for how long (default: 300)")
    parser.add_argument("--model", choices=rendered.MODELS, default=rendered.MODELS[0])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = rendered.copy_template(folder / "template")
        source = rendered.render(template, options.model, "file_digest", folder, job="inbox")
        subprocess.run([find_uv_bin(), "sync", "--quiet"], cwd=source.parent, check=True)
        command = [source.parent / ".venv/bin/file-digest"]
        began = time.monotonic()
        one = soak(command, folder / "soak", options.files, options.seconds, options.seed)
        _tell(one, time.monotonic() - began)
        return int(bool(one.faults()))


def _tell(one: Soak, seconds: float) -> None:
    done = sum(map(len, one.digests().values()))
    killed = ", ".join(f"{count} x {victim}" for victim, count in sorted(one.kills.items()))
    sys.stdout.write(f"{len(one.sent)} files in {seconds:.0f} s; killed: {killed}\n")
    sys.stdout.write(f"{done} outcomes of files that were done\n")
    sys.stdout.write("".join(f"{fault}\n" for fault in one.faults()) or "each is done once\n")


if __name__ == "__main__":
    sys.exit(main())
