"""Deaths of workers, and the required outcomes: a table of real deaths.

Each row breaks a running service as its users would see it broken. A payload is Python text that
work() executes, so that every fault is one line of a table; it stands in the middle of thousands
of quick items, which travel in large batches and must come out unharmed.
"""

import random
import signal
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from file_digest.settings import start_methods

from .support.faulty import Services, run_with_fault
from .support.service import SLACK, TRIES, Run, kill_process, report, wait_for

resource = pytest.importorskip("resource", reason="these deaths are those of POSIX")
assert sys.platform != "win32"

DEATHS = [
    ("leaves", "os._exit(1)", "worker died: exit code 1"),
    ("is killed", "os.kill(os.getpid(), signal.SIGKILL)", "worker died: SIGKILL"),
    ("segfaults", "ctypes.string_at(0)", "worker died: SIGSEGV"),
    ("aborts", "os.abort()", "worker died: SIGABRT"),
    (
        "overflows the C stack",
        "ctypes.CDLL(None).regcomp(ctypes.create_string_buffer(4096), b'(' * 3_000_000, 1)",
        "worker died: SIG",
    ),
]


@pytest.mark.parametrize("stage", ["unpack", "work", "write"])
@pytest.mark.parametrize(("how", "code", "error"), DEATHS, ids=[death[0] for death in DEATHS])
def test_item_that_kills_its_worker(
    service: Services, how: str, code: str, error: str, stage: str
) -> None:
    """An item whose worker dies fails after max_attempts, by the death's name; no other does."""
    finished, bad = run_with_fault(service, code, "--max-attempts", "2", stage=stage)
    assert (finished.code, bad["status"], bad["attempts"]) == (1, "failed", 2)
    assert bad["error"].startswith(error)
    report(f"worker {how}: {stage}", tries=2, seconds=finished.seconds)


@pytest.mark.parametrize("attempts", [1, 3])
def test_poison_is_tried_max_attempts_times(
    service: Services, tmp_path: Path, start_method: str, attempts: int
) -> None:
    """Work runs on a poison item exactly max_attempts times, also in the midst of a big batch."""
    runs = tmp_path / "runs"
    code = f"open({str(runs)!r}, 'ab', buffering=0).write(b'x'); os.abort()"
    options = ("--max-attempts", str(attempts), "--start-method", start_method)
    finished, bad = run_with_fault(service, code, *options)
    assert (finished.code, bad["attempts"]) == (1, attempts)
    assert bad["error"].startswith("worker died: SIGABRT\n")
    assert runs.read_text() == "x" * attempts


def test_busy_workers_are_killed(service: Services, tmp_path: Path) -> None:
    """Workers are killed at random under load: each item has one outcome, each worker a successor.

    A death costs at most one attempt, that of the item which was held.
    """
    kills, enough = 25 * TRIES, tmp_path / "enough"
    one = service("under_load")
    run = one.start(str(enough), "--workers", "4", "--max-attempts", "100")
    longest = 0.0
    for count in range(kills):
        pid = random.choice(wait_for(run.worker_pids, "a worker"))
        assert kill_process(pid)
        began = time.monotonic()
        if count % 2:
            wait_for(lambda: len(run.worker_pids()) == 4, "the worker's replacement")
            longest = max(longest, time.monotonic() - began)
        time.sleep(random.random() * 0.05)
    enough.touch()
    finished, outcomes = run.wait(), one.outcomes()
    assert finished.code == 0, finished.stderr
    total = int(enough.read_text())
    assert set(outcomes) == {f"item-{number}" for number in range(total)}
    assert f"{total} done, 0 failed" in finished.stdout
    assert sum(row["attempts"] - 1 for row in outcomes.values()) <= kills
    assert all(row["result"] == key.removeprefix("item-") for key, row in outcomes.items())
    report("busy worker killed", tries=kills, lost=total - len(outcomes), seconds=longest)


def test_idle_worker_is_killed(service: Services, tmp_path: Path) -> None:
    """The death of workers that hold nothing costs no item an attempt."""
    gate = tmp_path / "gate"
    one = service("waiting")
    run = one.start(str(gate), "--workers", "2")
    wait_for(lambda: one.count() == 1, "the first outcome")
    for pid in run.worker_pids():
        kill_process(pid)
    gate.touch()
    finished, outcomes = run.wait(), one.outcomes()
    assert (finished.code, len(outcomes)) == (0, 101)
    assert {row["attempts"] for row in outcomes.values()} == {1}
    report("idle worker killed", tries=2, lost=101 - len(outcomes), seconds=finished.seconds)


def test_worker_is_killed_while_it_sends(service: Services, tmp_path: Path) -> None:
    """A worker that dies with half of a large result sent is replaced; the result comes whole."""
    pids = tmp_path / "pids"
    one = service("large_result")
    run = one.start(str(pids), "--workers", "1")
    wait_for(lambda: pids.exists() and pids.read_text(), "work to begin")
    run.send(signal.SIGSTOP)  # so that nobody reads what the worker sends
    worker = psutil.Process(int(pids.read_text()))
    wait_for(lambda: is_idle(worker), "the worker to be stuck in sending")
    worker.kill()
    run.send(signal.SIGCONT)
    finished = run.wait()
    assert (finished.code, one.outcomes()["large"]["attempts"]) == (0, 2)
    assert one.result("large") == "x" * 50_000_000
    assert len(pids.read_text().split()) == 2
    report("worker killed while it sends", tries=1, lost=0, seconds=finished.seconds)


def is_idle(process: psutil.Process) -> bool:
    """Whether a process uses no processor time for a while."""
    before = process.cpu_times()
    time.sleep(0.1)
    return bool(process.cpu_times() == before and process.status() == psutil.STATUS_SLEEPING)


@pytest.mark.parametrize("start_method", [way for way in start_methods() if way != "fork"])
def test_worker_is_killed_while_it_starts(service: Services, start_method: str) -> None:
    """A worker that dies before it is ready is replaced; the items do not notice."""
    one = service("slow_start")
    first = one.folder / "first"
    run = one.start("--workers", "1", "--start-method", start_method)
    wait_for(first.exists, "the worker's start")
    assert kill_process(int(first.read_text()))
    finished, outcomes = run.wait(), one.outcomes()
    assert (finished.code, len(outcomes)) == (0, 100)
    assert {row["attempts"] for row in outcomes.values()} == {1}
    report(f"worker killed while it starts: {start_method}", tries=1, seconds=finished.seconds)


def test_forkserver_is_killed(service: Services, tmp_path: Path) -> None:
    """The death of the process that starts workers costs no item; another takes its place."""
    kills, enough = 2 * TRIES, tmp_path / "enough"
    one = service("under_load")
    run = one.start(str(enough), "--workers", "2", "--start-method", "forkserver")
    wait_for(run.worker_pids, "the workers")
    for _ in range(kills):
        before = set(run.worker_pids())
        for helper in psutil.Process(run.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # one killed before
                if helper.children():
                    helper.kill()
        wait_for(partial(_any_but, before, run), "new workers")
    enough.touch()
    finished, outcomes = run.wait(), one.outcomes()
    assert finished.code == 0, finished.stderr
    assert len(outcomes) == int(enough.read_text())
    run.wait_until_gone(2)
    report("forkserver killed", tries=kills, seconds=finished.seconds)


def _any_but(pids: set[int], run: Run) -> bool:
    return not pids.issuperset(run.worker_pids())


IN_WORKER, EVERYWHERE = "if IN_WORKER: ", ""
CANNOT_START = [
    ("a bad import", IN_WORKER + "import no_such_module", "No module named 'no_such_module'"),
    ("a bad import, in main too", EVERYWHERE + "import no_such", "No module named 'no_such'"),
    ("a syntax error", EVERYWHERE + "1 +", "SyntaxError: invalid syntax"),
    ("no work()", EVERYWHERE + "del work", "has no attribute 'work'"),
    ("no items()", EVERYWHERE + "del items", "has no attribute 'items'"),
    ("SystemExit, in main too", EVERYWHERE + "raise SystemExit(5)", "SystemExit: 5"),
    ("leaving at import", IN_WORKER + "os._exit(7)", "worker died: exit code 7"),
    ("a segfault at import", IN_WORKER + "ctypes.string_at(0)", "worker died: SIGSEGV"),
    (
        "dying when ready, before any item",
        IN_WORKER + "pickle.loads = lambda blob: os._exit(8)",
        "worker died: exit code 8",
    ),
]


@pytest.mark.parametrize(
    ("why", "code", "cause"), CANNOT_START, ids=[row[0] for row in CANNOT_START]
)
def test_workers_cannot_start(service: Services, why: str, code: str, cause: str) -> None:
    """Workers that die at their start end the run within 15 s; log and stderr hold the cause."""
    one = service("cannot_start")
    one.append(code)
    finished = one.run("--start-method", "spawn")
    assert finished.code == 3
    assert finished.seconds < SLACK * 15
    *progress, error = finished.stderr.splitlines()
    assert error.startswith("Error: ")
    assert cause in error
    assert all("0 done, 0 failed" in line for line in progress)
    assert cause in one.log_text()
    report(f"workers cannot start: {why}", tries=1, seconds=finished.seconds)


@pytest.mark.parametrize("files", [20, 30])
def test_file_descriptors_run_out(service: Services, files: int) -> None:
    """With too few file descriptors the run ends within 15 s and says what is missing, or works."""
    one = service("waiting")
    (one.folder / "gate").touch()
    finished = one.run(
        *("gate", "--workers", "8"),
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_NOFILE, (files, files)),
    )
    assert finished.seconds < SLACK * 15
    if finished.code:
        assert finished.code == 3
        last = finished.stderr.splitlines()[-1]
        assert last.startswith("Error: ")
        assert "Too many open files" in last
    else:
        assert one.count() == 101
    report(f"only {files} file descriptors", tries=1, seconds=finished.seconds)
