"""Exit hooks run once in each process, within a deadline."""

import signal
import sys
import time

import pytest

from .support.faulty import Services
from .support.service import SLACK, Service, report, wait_for
from .support.stoppable import ENDLESS

pytest.importorskip("fcntl", reason="these faults are those of POSIX")
assert sys.platform != "win32"


def noted(one: Service, what: str) -> dict[str, str]:
    """Return who noted something, and how often."""
    found = one.folder.glob(f"{what}-[0-9]*")
    return {path.name.rpartition("-")[2]: path.read_text() for path in found}


LIVING = [
    ("no thread", "pass"),
    ("a thread", "threading.Thread(target=time.sleep, args=(1_000,)).start()"),
    ("a daemon", "threading.Thread(target=time.sleep, args=(1_000,), daemon=True).start()"),
    ("a timer", "threading.Timer(1_000, print).start()"),
    ("an executor", "kept = ThreadPoolExecutor(2); kept.submit(int)"),
    (
        "an event loop",
        "threading.Thread(target=asyncio.new_event_loop().run_forever).start()",
    ),
    ("a Manager", "kept = multiprocessing.get_context('fork').Manager(); made = kept.list()"),
    ("a process", "multiprocessing.Process(target=time.sleep, args=(1_000,), daemon=True).start()"),
    ("a hook that raises", "atexit.register(lambda: 1 / 0)"),
    ("threads in workers", "kept = ThreadPoolExecutor(2); kept.submit(time.sleep, 0)"),
]


@pytest.mark.parametrize(("what", "code"), LIVING, ids=[row[0] for row in LIVING])
def test_hooks_run_whatever_lives(service: Services, what: str, code: str) -> None:
    """Hooks and finalizers run once in main and in each worker, and nobody is left."""
    one = service("leaving")
    one.environment["AT_IMPORT"] = code if "workers" in what else f"if IN_MAIN: {code}"
    run = one.start("20", "--workers", "2")
    finished = run.wait()
    run.wait_until_gone(2)
    assert (finished.code, one.count()) == (0, 20), finished.stderr
    main = {str(run.process.pid): "x"}
    assert noted(one, "main-hook") == noted(one, "main-finalizer") == main
    assert noted(one, "worker-hook") == noted(one, "worker-finalizer")
    assert noted(one, "worker-hook") == dict.fromkeys(noted(one, "worked"), "x")
    report(f"main leaves with {what}", tries=1, seconds=finished.seconds)


def test_hooks_run_under_every_start_method(service: Services, start_method: str) -> None:
    """Hooks that a worker registers run when it ends; main's hooks run in main alone."""
    one = service("leaving")
    run = one.start("20", "--workers", "2", "--start-method", start_method)
    assert run.wait().code == 0
    main = {str(run.process.pid): "x"}
    assert noted(one, "main-hook") == noted(one, "main-finalizer") == main
    assert noted(one, "worker-hook") == dict.fromkeys(noted(one, "worked"), "x")
    assert noted(one, "worker-finalizer") == noted(one, "worker-hook")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_hooks_run_when_stopped(service: Services, number: int) -> None:
    """After a stop request, too, and within what is left of the grace period."""
    one = service("leaving")
    run = one.start("100000", "--workers", "2")
    wait_for(lambda: len(noted(one, "worked")) == 2, "both workers to be at work")
    run.send(number)
    assert run.wait().code == 128 + number
    run.wait_until_gone(2)
    assert noted(one, "main-hook") == {str(run.process.pid): "x"}
    assert noted(one, "worker-hook") == dict.fromkeys(noted(one, "worked"), "x")


def test_hooks_of_the_idle_run_where_others_are_killed(service: Services) -> None:
    """Of two workers one is stuck: the other's hooks and main's run, within the grace period."""
    one = service("leaving")
    one.environment["IN_WORK"] = ENDLESS
    run = one.start("1", "--workers", "2", "--grace", "1")
    wait_for(lambda: noted(one, "worked"), "the item to begin")
    wait_for(lambda: len(run.worker_pids()) == 2, "the other worker")
    began = time.monotonic()
    run.send(signal.SIGTERM)
    finished = run.wait()
    run.wait_until_gone(1)
    took = time.monotonic() - began
    assert (finished.code, took < SLACK * (1 + 2)) == (143, True)
    assert noted(one, "main-hook") == {str(run.process.pid): "x"}
    report("hooks where one worker is stuck", tries=1, seconds=took)


HANGS = [("sleeps", "time.sleep(1_000)"), ("computes", "exec('while True: pass')")]


@pytest.mark.parametrize(("what", "code"), HANGS, ids=[row[0] for row in HANGS])
@pytest.mark.parametrize("where", ["IN_MAIN", "not IN_MAIN"], ids=["in main", "in workers"])
def test_hook_that_hangs_has_a_bound(service: Services, what: str, code: str, where: str) -> None:
    """It costs main ten seconds, and a worker one; the exit code is the run's."""
    one = service("leaving")
    one.environment["AT_IMPORT"] = f"if {where}: atexit.register(lambda: {code})"
    run = one.start("20", "--workers", "2")
    wait_for(lambda: "run ends" in one.log_text(), "the run's end")
    began = time.monotonic()
    finished = run.wait()
    run.wait_until_gone(2)
    took = time.monotonic() - began
    assert (finished.code, one.count()) == (0, 20)
    assert took < SLACK * 12
    report(f"a hook {what}, {where}", tries=1, seconds=took)


def test_hook_that_hangs_when_stopped(service: Services) -> None:
    """A stop is over in time all the same, with the stop's exit code."""
    one = service("leaving")
    one.environment["AT_IMPORT"] = "if IN_MAIN: atexit.register(time.sleep, 1_000)"
    run = one.start("100000", "--workers", "2", "--grace", "1")
    wait_for(lambda: len(noted(one, "worked")) == 2, "both workers to be at work")
    began = time.monotonic()
    run.send(signal.SIGTERM)
    finished = run.wait()
    run.wait_until_gone(1)
    took = time.monotonic() - began
    assert (finished.code, took < SLACK * (1 + 2)) == (143, True)
    report("a hook hangs after a stop", tries=1, seconds=took)


def test_standard_output_that_takes_nothing_changes_no_exit_code(service: Services) -> None:
    """Output that cannot be flushed at the end does not cause Python's exit code 120."""
    one = service("full_output")
    assert one.run().code != 120
