"""Processes, signals and who ends with whom."""

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.connection import Connection

import psutil
import pytest

from {{ cookiecutter.package_name }}.settings import start_methods
from {{ cookiecutter.package_name }}.system.lifeline import Lifeline, follow_main
from {{ cookiecutter.package_name }}.system.processes import (
    UNKNOWN,
    context_for,
    exitcode_of,
    how_it_ended,
    join_all,
    start_process,
)
from {{ cookiecutter.package_name }}.system.signals import (
    AGAIN_SECONDS,
    StopRequest,
)

from .support.service import SLACK, wait_for

pytest.importorskip("fcntl", reason="these signals are those of POSIX")
assert sys.platform != "win32"


@pytest.mark.parametrize(
    ("exitcode", "text"),
    [
        (0, "exit code 0"),
        (7, "exit code 7"),
        (-9, "SIGKILL"),
        (-11, "SIGSEGV"),
        (-250, "exit code -250"),
        (None, "exit code None"),
        (UNKNOWN, "exit code unknown"),
    ],
)
def test_how_it_ended(exitcode: int | None, text: str) -> None:
    """A process that a signal killed is told by the signal's name."""
    assert how_it_ended(exitcode) == text


def follower(end: Connection, told: Connection, forks: bool) -> None:
    """Be a process that follows main; tell our process id, and a forked child's."""
    follow_main(end)
    if forks and os.fork() == 0:
        told.send(os.getpid())
        time.sleep(1_000)
    told.send(os.getpid())
    time.sleep(1_000)


def start_follower(start_method: str, *, forks: bool) -> tuple[Lifeline, set[int]]:
    """Start a process that follows us; return what ties it to us, and who they are."""
    lifeline = Lifeline()
    ours, theirs = connection.Pipe(duplex=False)
    process = start_process(
        context_for(start_method), follower, (lifeline.end, theirs, forks), "follower"
    )
    theirs.close()
    pids = {ours.recv() for _ in range(1 + forks)}
    assert process.pid in pids
    ours.close()
    return lifeline, pids


def living(pids: set[int]) -> list[int]:
    """Return those that live."""
    alive = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                alive.append(pid)
    return alive


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel can tell a stopped one")
@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
@pytest.mark.parametrize("forks", [False, True], ids=["alone", "with a forked child"])
def test_followers_end_with_main(start_method: str, *, forks: bool, stopped: bool) -> None:
    """When main's end of the lifeline closes, every process is gone, and so are its children."""
    lifeline, pids = start_follower(start_method, forks=forks)
    if stopped:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
    lifeline.close()
    wait_for(lambda: not living(pids), "the end of the followers", SLACK * 2)


def test_followers_are_out_of_reach_of_mains_group(start_method: str) -> None:
    """A terminal and timeout(1) signal main's group: a follower leads another, of a session."""
    lifeline, pids = start_follower(start_method, forks=True)
    groups = {os.getpgid(pid) for pid in pids}
    assert groups == {os.getsid(pid) for pid in pids}
    assert groups < pids
    lifeline.close()
    wait_for(lambda: not living(pids), "the end of the followers", SLACK * 2)


def test_join_all_kills_who_does_not_end(start_method: str) -> None:
    """Whoever is not done in time is killed, so the wait has an end."""
    context = context_for(start_method)
    quick, slow = (
        start_process(context, time.sleep, (seconds,), "sleeper") for seconds in (0, 1_000)
    )
    quick.join(10)
    began = time.monotonic()
    join_all([quick, slow], 0.3)
    assert 0.3 <= time.monotonic() - began < 0.3 + SLACK
    assert (quick.exitcode, slow.exitcode) == (0, -signal.SIGKILL)


@pytest.mark.parametrize("start_method", [way for way in start_methods() if way != "forkserver"])
def test_a_process_that_somebody_else_waited_for_has_ended(start_method: str) -> None:
    """os.wait() in the owner's code takes the exit code; nobody waits for that process any more."""
    process = start_process(context_for(start_method), time.sleep, (0,), "sleeper")
    assert process.pid
    os.waitpid(process.pid, 0)
    began = time.monotonic()
    join_all([process], 10)
    assert time.monotonic() - began < SLACK * 5
    assert exitcode_of(process) == UNKNOWN


def test_stop_counts_signals() -> None:
    """A first signal starts the grace period, another some time later ends it; handlers go back."""
    before = signal.getsignal(signal.SIGTERM)
    stop = StopRequest(grace=60)
    with stop.listening():
        assert not stop.requested
        assert not stop.time_is_up
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        wait_for(lambda: stop.requested, "the first signal")
        assert not stop.time_is_up
        time.sleep(AGAIN_SECONDS)
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(lambda: stop.time_is_up, "the second signal")
    assert stop.signals == [signal.SIGTERM, signal.SIGTERM, signal.SIGINT]
    assert signal.getsignal(signal.SIGTERM) is before


def test_grace_runs_out() -> None:
    """Without a second signal time is up when the grace period is over."""
    stop = StopRequest(grace=0.05)
    with stop.listening():
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(lambda: stop.requested, "the signal")
        stop.begin_grace()
        wait_for(lambda: stop.time_is_up, "the end of the grace period")


def test_signal_wakes_a_waiting_loop() -> None:
    """A loop that waits for the waker turns at once, for a signal as for a thread's call."""
    stop = StopRequest(grace=60)
    with stop.listening():
        for call in (lambda: os.kill(os.getpid(), signal.SIGHUP), stop.wake):
            timer = threading.Timer(0.05, call)
            timer.start()
            began = time.monotonic()
            assert connection.wait([stop.waker], 10)
            assert time.monotonic() - began < SLACK * 5
            stop.clear_waker()
            timer.join()
        assert stop.take_reopen()
        assert not stop.take_reopen()
