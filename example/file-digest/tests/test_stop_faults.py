"""Runs that are stopped, politely or not, whatever their processes are doing."""

import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from file_digest.settings import start_methods

from .support.service import SLACK, TRIES, Run, kill_process, report, wait_for
from .support.stoppable import ENDLESS, QUICK, SHORT, Services, StoppableService

fcntl = pytest.importorskip("fcntl", reason="these signals are those of POSIX")
termios = pytest.importorskip("termios")
assert sys.platform != "win32"

WAYS = [
    ("Ctrl-C", Run.send_group, signal.SIGINT, 130),
    ("kill -INT", Run.send, signal.SIGINT, 130),
    ("kill", Run.send, signal.SIGTERM, 143),
    ("timeout(1), systemd", Run.send_group, signal.SIGTERM, 143),
]


@pytest.mark.parametrize(("way", "send", "number", "code"), WAYS, ids=[way[0] for way in WAYS])
def test_running_items_finish(
    service: Services, way: str, send: Callable[..., None], number: int, code: int
) -> None:
    """A signal at any moment: what has begun is done, journalled and logged; nothing else is."""
    longest = 0.0
    for count in range(TRIES):
        stoppable = StoppableService(service, (QUICK, SHORT)[count % 2])
        run = stoppable.start()
        time.sleep(random.random())
        began = time.monotonic()
        send(run, number)
        finished = run.wait()
        longest = max(longest, time.monotonic() - began)
        run.wait_until_gone(1)
        assert (finished.code, finished.stderr.count("Traceback")) == (code, 0), finished.stderr
        done = {f"item-{number}" for number in stoppable.noted("logged")}
        assert set(stoppable.service.outcomes()) == done
        assert len(stoppable.noted("began")) == len(done)
        assert set(re.findall(r"(item-\d+) was done", stoppable.service.log_text())) == done
    report(f"stopped by {way}", tries=TRIES, seconds=longest)


@pytest.mark.parametrize(("way", "send", "number", "code"), WAYS, ids=[way[0] for way in WAYS])
def test_stopped_while_it_starts(
    service: Services, way: str, send: Callable[..., None], number: int, code: int
) -> None:
    """A signal while the service starts ends it at once, without a traceback.

    Until its first line runs, signals are Python's own affair.
    """
    longest = 0.0
    for _ in range(TRIES):
        one = StoppableService(service, SHORT).service
        begun, first = one.folder / "begun", one.package / "cli" / "app.py"
        first.write_text(f"open({str(begun)!r}, 'w').close()\n{first.read_text()}")
        run = one.start("1000", "--workers", "2")
        wait_for(begun.exists, "the first line")
        time.sleep(random.random() * 0.4)
        began = time.monotonic()
        send(run, number)
        finished = run.wait(SLACK * 3)
        run.wait_until_gone(1)
        longest = max(longest, time.monotonic() - began)
        assert (finished.code, finished.stderr.count("Traceback")) == (code, 0), finished.stderr
    report(f"stopped by {way} while it starts", tries=TRIES, seconds=longest)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_stopped_in_a_callback_while_it_starts(service: Services, name: str, code: int) -> None:
    """Not even a signal that comes where Python drops exceptions is lost; nothing has begun."""
    one = service("signalling_main")
    one.environment["SIGNAL"] = name
    finished = one.run()
    assert (finished.code, finished.stdout, finished.stderr) == (code, "", "")
    assert not one.results.exists()


STUBBORN = [
    ("an endless item", ENDLESS, []),
    ("an item that ignores SIGTERM", f"ctypes.CDLL(None).signal(15, 1); {ENDLESS}", []),
    ("an item that holds the GIL in C", "ctypes.PyDLL(None).sleep(1_000)", []),
    ("stopped workers", ENDLESS, ["workers"]),
    ("a stopped listener", QUICK, ["listener"]),
    ("everyone stopped", ENDLESS, ["workers", "listener"]),
]
stubborn = pytest.mark.parametrize(
    ("what", "behaviour", "stopped"), STUBBORN, ids=[row[0] for row in STUBBORN]
)


HELPERS = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")


def stop_processes(run: Run, stopped: list[str]) -> None:
    """Send SIGSTOP to the processes with these roles."""
    pids = [*run.worker_pids()] if "workers" in stopped else []
    if "helpers" in stopped:
        ours = [one for one in run.processes() if one.ppid() == run.process.pid]
        pids += [one.pid for one in ours if any(name in one.cmdline()[-1] for name in HELPERS)]
    if "listener" in stopped:
        pids.append(wait_for(run.listener_pid, "the listener"))
    for pid in pids:
        kill_process(pid, signal.SIGSTOP)


@stubborn
def test_what_does_not_finish_is_killed(
    service: Services, what: str, behaviour: str, stopped: list[str]
) -> None:
    """Whoever does not finish within the grace period is killed: all gone 2 s after it ended."""
    stoppable = StoppableService(service, behaviour)
    run = stoppable.start("--grace", "1")
    stop_processes(run, stopped)
    began = time.monotonic()
    run.send(signal.SIGTERM)
    finished = run.wait()
    run.wait_until_gone(1)
    took = time.monotonic() - began
    assert finished.code == 143
    assert took < SLACK * (1 + 2)
    done = {f"item-{number}" for number in stoppable.noted("logged")}
    assert done - set(stoppable.service.outcomes()) == set()
    report(f"stopped with {what}", tries=1, seconds=took)


def test_stopped_helpers_of_multiprocessing_keep_nobody(service: Services) -> None:
    """The forkserver and the resource tracker are continued where main would wait for them."""
    stoppable = StoppableService(service, SHORT)
    run = stoppable.start("--grace", "1")
    stop_processes(run, ["helpers"])
    worker = wait_for(run.worker_pids, "a worker")[0]
    kill_process(worker, signal.SIGKILL)
    wait_for(lambda: len(set(run.worker_pids()) - {worker}) >= 2, "the worker's successor")
    stop_processes(run, ["helpers"])
    began = time.monotonic()
    run.send(signal.SIGTERM)
    finished = run.wait()
    run.wait_until_gone(1)
    took = time.monotonic() - began
    assert (finished.code, took < SLACK * (1 + 2)) == (143, True)
    report("multiprocessing's own processes are stopped", tries=2, seconds=took)


@stubborn
def test_second_signal_ends_it_now(
    service: Services, what: str, behaviour: str, stopped: list[str]
) -> None:
    """After a second signal nothing is waited for: all gone within a second."""
    stoppable = StoppableService(service, behaviour)
    run = stoppable.start("--grace", "60")
    stop_processes(run, stopped)
    run.send(signal.SIGINT)
    time.sleep(0.6)  # sooner it would be the same request, delivered twice
    began = time.monotonic()
    run.send(signal.SIGINT)
    finished = run.wait()
    run.wait_until_gone(1)
    took = time.monotonic() - began
    assert finished.code == 130
    assert took < SLACK * 1
    report(f"second signal with {what}", tries=1, seconds=took)


SOURCES = [
    ("waits for input", "sys.stdin.readline()"),
    ("sleeps", "time.sleep(1_000)"),
    ("computes for ever", "while True: pass"),
]


@pytest.mark.parametrize(("what", "code"), SOURCES, ids=[row[0] for row in SOURCES])
def test_source_is_stuck(service: Services, what: str, code: str) -> None:
    """An items() that never returns does not keep the service from a clean end."""
    one = service("stuck_source")
    run = one.start(code, stdin=subprocess.PIPE)
    wait_for(lambda: one.count() == 1, "the first outcome")
    began = time.monotonic()
    run.send(signal.SIGTERM)
    assert run.process.wait(SLACK * 5) == 143
    took = time.monotonic() - began
    finished = run.wait()
    assert took < SLACK * 2
    assert "Fatal" not in finished.stderr
    assert "1 done, 0 failed" in finished.stdout
    run.wait_until_gone(1)
    report(f"stopped while items() {what}", tries=1, seconds=took)


KILLED = [
    *((*row, start_methods()[0]) for row in STUBBORN),
    *(("quick items", QUICK, [], start_method) for start_method in start_methods()),
    *((*STUBBORN[3], start_method) for start_method in start_methods()[1:]),
]


@pytest.mark.parametrize(
    ("what", "behaviour", "stopped", "start_method"),
    KILLED,
    ids=[f"{row[0]}, {row[3]}" for row in KILLED],
)
def test_main_is_killed(
    service: Services, what: str, behaviour: str, stopped: list[str], start_method: str
) -> None:
    """Within 2 s of main's death nobody is left; the log is complete, and a rerun does the rest."""
    stoppable = StoppableService(service, behaviour)
    run = stoppable.start("--start-method", start_method, items=2_000)
    stop_processes(run, stopped)
    time.sleep(random.random() * 0.2)
    run.send(signal.SIGKILL)
    run.process.wait()
    took = run.wait_until_gone(2)
    logged = set(re.findall(r"item-(\d+) was done", stoppable.service.log_text()))
    assert set(map(str, stoppable.noted("logged"))) <= logged
    stoppable.behave(QUICK)
    assert stoppable.service.run("2000").code == 0
    results = {key: row["result"] for key, row in stoppable.service.outcomes().items()}
    assert results == {f"item-{number}": str(number) for number in range(2_000)}
    report(f"main killed, {what}: {start_method}", tries=1, lost=0, seconds=took)


PAUSES = [("everyone", lambda run: run.processes()), ("main alone", lambda _: [])]
PAUSED_SECONDS = 4.0


@pytest.mark.parametrize(("who", "others"), PAUSES, ids=[row[0] for row in PAUSES])
def test_time_in_which_main_stands_still_is_nobodys(
    service: Services, who: str, others: Callable[[Run], list[psutil.Process]]
) -> None:
    """After Ctrl-Z and fg no item has timed out for the pause, nor has one been tried twice."""
    stoppable = StoppableService(service, "time.sleep(1.5)")
    limits = ("--item-timeout", "3", "--max-attempts", "1")
    run = stoppable.start(*limits, items=4)
    wait_for(lambda: len(stoppable.noted("began")) == 2, "both workers to be at work")
    run.send(signal.SIGSTOP)
    stopped = [one for one in others(run) if one.pid != run.process.pid]
    for process in stopped:
        process.suspend()
    time.sleep(PAUSED_SECONDS)
    run.send(signal.SIGCONT)
    for process in stopped:
        process.resume()
    finished = run.wait()
    assert (finished.code, stoppable.service.count()) == (0, 4), stoppable.service.log_text()
    assert len(stoppable.noted("began")) == 4
    assert "main was held up for" in stoppable.service.log_text()
    report(f"{who} stopped and continued", tries=1, seconds=finished.seconds)


def test_grace_period_is_the_owners_whole(service: Services) -> None:
    """Time during which main stands still after a stop request is no part of --grace."""
    stoppable = StoppableService(service, "time.sleep(1.5)")
    run = stoppable.start("--grace", "3")
    run.send(signal.SIGTERM)
    wait_for(lambda: "stopping: " in stoppable.service.log_text(), "the request to be seen")
    stopped = run.processes()
    for process in stopped:
        process.suspend()
    time.sleep(PAUSED_SECONDS)
    for process in stopped:
        process.resume()
    finished = run.wait()
    assert finished.code == 143
    assert stoppable.service.count() == len(stoppable.noted("began"))


def test_log_is_reopened(service: Services) -> None:
    """After SIGHUP the log goes on in a new file of the same name, as logrotate expects."""
    stoppable = StoppableService(service, SHORT)
    run = stoppable.start()
    old = stoppable.service.log.with_name("old.log")
    stoppable.service.log.rename(old)
    run.send(signal.SIGHUP)
    log = stoppable.service.log
    wait_for(lambda: log.exists() and log.read_text(), "a new log")
    run.send(signal.SIGTERM)
    assert run.wait().code == 143
    both = old.read_text() + stoppable.service.log.read_text()
    assert sorted(map(int, re.findall(r"item-(\d+) was done", both))) == sorted(
        stoppable.noted("logged")
    )
    assert "run ends" in stoppable.service.log.read_text()
