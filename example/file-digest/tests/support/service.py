"""Runs the service as its users do: another job.py, a command line, signals."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from file_digest.system.inheritance import SIGKILL

SOURCE = next((Path(__file__).parents[2] / "src").glob("*/job.py")).parent
PACKAGE = SOURCE.name
JOBS = Path(__file__).parents[1] / "jobs"
HANG_SECONDS = 60.0
POLL_SECONDS = 0.01
SLACK = float(os.environ.get("FAULT_SLACK", "4"))
"""Factor by which a deadline may exceed the promise: others may keep the machine busy."""
SPY = shutil.which("py-spy", path=sysconfig.get_path("scripts"))
TRIES = int(os.environ.get("FAULT_TRIES", "2"))
"""Repetitions of a fault test that involves chance: set FAULT_TRIES for a long soak."""


def report(row: str, **figures: float) -> None:
    """Append a fault test's figures, as one JSON line, to the file that FAULT_REPORT names."""
    if path := os.environ.get("FAULT_REPORT"):
        with open(path, "a", encoding="utf-8") as file:
            test = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
            file.write(json.dumps({"test": test, "row": row, **figures}) + "\n")


def wait_for(condition: Callable[[], Any], what: str, seconds: float = HANG_SECONDS) -> Any:
    """Return what ``condition`` returns once that is true; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(POLL_SECONDS)
    return value


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs: a zombie does not."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


@dataclass(frozen=True)
class Finished:
    """The end of a run."""

    code: int
    stdout: str
    stderr: str
    seconds: float


class Run:
    """A run in progress."""

    def __init__(self, service: "Service", arguments: tuple[str, ...], **options: Any) -> None:
        """Start it in a session of its own, so that a signal to its group reaches nobody else."""
        self.service, self.mark = service, uuid.uuid4().hex
        environment = service.environment | {"_SERVICE_RUN": self.mark}
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            [*options.pop("prefix", [sys.executable]), "-m", PACKAGE, *arguments],
            cwd=service.folder,
            env=environment,
            stdin=options.pop("stdin", subprocess.DEVNULL),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
            **options,
        )

    def processes(self) -> list[psutil.Process]:
        """Return every living process of this run: main, workers, listener, helpers."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return is_alive(process) and process.environ().get("_SERVICE_RUN") == self.mark
        return False

    def send(self, number: int) -> None:
        """Send main a signal."""
        self.process.send_signal(number)

    def send_group(self, number: int) -> None:
        """Send the whole process group a signal, as a terminal does for Ctrl-C."""
        if sys.platform != "win32":
            os.killpg(self.process.pid, number)

    def wait(self, seconds: float = HANG_SECONDS) -> Finished:
        """Wait for the end; show where everyone is if that does not come."""
        try:
            stdout, stderr = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            stacks = self.stacks()
            self.kill()
            raise AssertionError(f"hangs after {seconds:g} s\n{stacks}") from None
        took = time.monotonic() - self.began
        return Finished(self.process.returncode, stdout or "", stderr, took)

    def wait_until_gone(self, seconds: float) -> float:
        """Wait until no process of this run is left; return how long that took.

        It may take ``SLACK`` times ``seconds``, in which it is promised.
        It is cheap to ask those that are known again and again; whether there are others, in
        whatever session, is asked when all of them are gone.
        """
        began, known = time.monotonic(), list[psutil.Process]()

        def gone() -> bool:
            known[:] = filter(is_alive, known)
            known.extend(() if known else self.processes())
            return not known

        wait_for(gone, "the end of all its processes", SLACK * seconds)
        return time.monotonic() - began

    def stacks(self) -> str:
        """Show what every process is doing: by py-spy where there is one, else by its state."""
        shown = []
        for process in self.processes():
            with suppress(psutil.Error):
                command = " ".join(process.cmdline())
                shown.append(f"--- {process.pid} {process.status()} {command:.100}")
                if SPY:
                    shown.append(_output([SPY, "dump", "--nonblocking", "--pid", str(process.pid)]))
        return "\n".join([*shown, "--- log", self.service.log_text()[-4000:]])

    def kill_processes(self) -> None:
        """Kill every process of this run that is left."""
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()

    def kill(self) -> None:
        """Leave nothing behind."""
        self.kill_processes()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr, self.process.stdin):
            if stream:
                stream.close()

    def worker_pids(self) -> list[int]:
        """Return the pids of the workers that are ready, as the log tells."""
        return self._pids(r"worker-\d+ is ready, pid (\d+)")

    def listener_pid(self) -> int:
        """Return the pid of the log listener."""
        pids = self._pids(r"(?:log listener pid|died \(.*\), pid) (\d+)")
        return pids[-1] if pids else 0

    def _pids(self, pattern: str) -> list[int]:
        found = re.findall(pattern, self.service.log_text())
        return [pid for pid in map(int, found) if psutil.pid_exists(pid)]


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


class Service:
    """A copy of the service with a job of the test's own."""

    def __init__(self, folder: Path, job: str | None = "digesting") -> None:
        """Copy the package to ``folder``, and replace ``job.py``.

        ``job`` names a file of tests/jobs; where it has line breaks it is the text of the job. None
        leaves the project's own in its place.
        """
        self.folder, self.package = folder, folder / "src" / PACKAGE
        shutil.copytree(SOURCE, self.package)  # with what is compiled of it
        if job and "\n" in job:
            (self.package / "job.py").write_text(textwrap.dedent(job), encoding="utf-8")
        elif job:
            shutil.copy(JOBS / f"{job}.py", self.package / "job.py")
        self.environment = os.environ | {
            "PYTHONPATH": str(folder / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "",  # set, it hides what a buffer loses
        }
        self.results = folder / "results.db"
        self.log = folder / "logs" / "service.log"
        self.runs: list[Run] = []

    def append(self, code: str) -> None:
        """Add a line to ``job.py``."""
        with (self.package / "job.py").open("a", encoding="utf-8") as job:
            job.write(f"{code}\n")

    def start(self, *arguments: str, **options: Any) -> Run:
        """Begin a run of the items that ``job.items`` gives for ``arguments``."""
        fixed = ("--log-file", str(self.log), "--results", str(self.results))
        run = Run(self, ("run", *fixed, *arguments), **options)
        self.runs.append(run)
        return run

    def run(self, *arguments: str, **options: Any) -> Finished:
        """Run to the end."""
        return self.start(*arguments, **options).wait()

    def command(self, *arguments: str, **options: Any) -> Finished:
        """Run any command of the service to its end."""
        run = Run(self, arguments, **options)
        self.runs.append(run)
        return run.wait()

    def outcomes(self) -> dict[str, sqlite3.Row]:
        """Return the journal's rows by key."""
        database = sqlite3.connect(self.results)
        database.row_factory = sqlite3.Row
        rows = database.execute("SELECT * FROM outcomes").fetchall()
        database.close()
        return {row["key"]: row for row in rows}

    def count(self, status: str = "done") -> int:
        """Return how many outcomes of that status the journal holds by now."""
        if not self.results.exists():
            return 0
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(self.results)) as database:
            query = "SELECT COUNT(*) FROM outcomes WHERE status = ?"
            return int(database.execute(query, (status,)).fetchone()[0])
        return 0

    def result(self, key: str) -> Any:
        """Return what work() returned for an item."""
        return json.loads(self.outcomes()[key]["result"])

    def log_text(self) -> str:
        """Return all log files, oldest first, as one text."""
        backups = self.log.parent.glob(f"{self.log.name}.*[0-9]")
        numbered = sorted(backups, key=lambda path: -int(path.suffix[1:]))
        files = [*numbered, self.log]
        return "".join(
            path.read_bytes().decode("utf-8", "surrogateescape") for path in files if path.is_file()
        )

    def log_lines(self) -> Iterator[str]:
        """Yield the log's lines."""
        yield from self.log_text().splitlines()

    def close(self) -> None:
        """Kill what a test left running; if it failed, its report shows what became of that."""
        for run in self.runs:
            if run.process.poll() is None:
                sys.stdout.write(run.stacks())
            elif run.process.stderr and not run.process.stderr.closed:
                run.kill_processes()  # else the end of what they write might never come
                end = f"exit {run.process.returncode}\n{run.process.stderr.read()}"
                sys.stdout.write(f"{end}--- log\n{self.log_text()[-4000:]}")
            run.kill()


def kill_process(pid: int, number: int = SIGKILL) -> bool:
    """Send a signal to a process; return False if it is gone already."""
    assert pid > 0, "0 would be the group of the tests themselves, kill(2)"
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
