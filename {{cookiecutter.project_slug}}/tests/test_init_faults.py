"""What must come out when the service is process 1, as in a container."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial

import psutil
import pytest
from service import Run, report, wait_for
from stoppable import SHORT, Bench, Services

fcntl = pytest.importorskip("fcntl", reason="containers have Linux inside")
termios = pytest.importorskip("termios")

NAMESPACE = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
STAND_IN = """
import ctypes, os, runpy, sys
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER: orphans come to this process
pids, getpid = iter([1]), os.getpid
os.getpid = lambda: next(pids, 0) or getpid()
sys.argv[1:2] = []
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


def can_unshare() -> bool:
    """Whether this user may create a namespace of process ids, as a container has."""
    command = [*NAMESPACE, "true"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


@pytest.fixture(params=["namespace", "stand-in"])
def as_first_process(request: pytest.FixtureRequest) -> list[str]:
    """What to put before a command so that it runs as process 1, or is treated like it."""
    if request.param == "stand-in":
        return [sys.executable, "-c", STAND_IN]
    if not can_unshare():
        pytest.skip("may not create a namespace; the stand-in is tested instead")
    return [*NAMESPACE, sys.executable]


def first_process(run: Run, prefix: list[str]) -> psutil.Process:
    """Return the process that is, or stands in for, process 1."""
    process = psutil.Process(run.process.pid)
    return process.children()[0] if prefix[0] == "unshare" else process


ORPHANS = f"os.system('sleep 0.1 & :'); {SHORT}"


@pytest.mark.skipif(sys.platform != "linux", reason="containers have Linux inside")
def test_first_process_reaps_and_passes_on(service: Services, as_first_process: list[str]) -> None:
    """As process 1, SIGTERM stops the service in good order, and orphans are reaped meanwhile."""
    bench = Bench(service, ORPHANS)
    run = bench.start(prefix=as_first_process)
    first = first_process(run, as_first_process)
    wait_for(lambda: len(bench.noted("logged")) > 10, "some orphans")
    wait_for(lambda: psutil.STATUS_ZOMBIE not in states(first), "the orphans to be reaped", 5)
    began = time.monotonic()
    first.send_signal(signal.SIGTERM)
    finished = run.wait()
    run.wait_until_gone(1)
    assert finished.code == 143
    assert len(bench.noted("began")) == len(bench.noted("logged")) == bench.service.count()
    report("stopped as process 1", tries=1, seconds=time.monotonic() - began)


def states(process: psutil.Process) -> list[str]:
    """Return the states of a process's children; one that goes meanwhile has been reaped."""
    found = list[str]()
    for child in process.children():
        with suppress(psutil.NoSuchProcess):
            found.append(child.status())
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="containers have Linux inside")
def test_first_process_on_a_terminal(service: Services, as_first_process: list[str]) -> None:
    """A terminal's Ctrl-C reaches the service itself; process 1 must not make two of it."""
    terminal, end = os.openpty()
    bench = Bench(service, "time.sleep(1)")
    take_terminal = partial(fcntl.ioctl, 0, termios.TIOCSCTTY, 0)
    run = bench.start(prefix=as_first_process, stdin=end, preexec_fn=take_terminal)
    os.write(terminal, b"\x03")
    finished = run.wait()
    os.close(terminal)
    os.close(end)
    assert finished.code == 130
    assert len(bench.noted("began")) == len(bench.noted("logged")) == bench.service.count()
