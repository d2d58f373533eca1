"""What must come out when a run is stopped, politely or not, whatever its processes are doing."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psutil
import pytest
from service import TRIES, Run, Service, kill_process, report, wait_for

from file_digest.settings import start_methods

fcntl = pytest.importorskip("fcntl", reason="these signals are those of POSIX")
termios = pytest.importorskip("termios")

Services = Callable[..., Service]

JOB = """
    import ctypes, logging, os, random, signal, sys, time
    from pathlib import Path

    log = logging.getLogger(__name__)

    def items(inputs):
        return ((f"item-{number}", number) for number in range(int(inputs[0])))

    def note(name, number):
        descriptor = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, b"%d\\n" % number)
        os.close(descriptor)

    def work(payload):
        note("began", payload)
        exec(Path("behaviour").read_text(), globals())
        log.info("item-%d was done", payload)
        note("logged", payload)
        return payload
"""
QUICK = ""
SHORT = "time.sleep(random.random() * 0.2)"
ENDLESS = "time.sleep(1_000)"


class Bench:
    """A service whose items do what the file ``behaviour`` says."""

    def __init__(self, service: Services, behaviour: str, job: str = JOB) -> None:
        """Have each item execute ``behaviour``."""
        self.service = service(job)
        self.behave(behaviour)

    def behave(self, behaviour: str) -> None:
        """Have each item that begins from now on execute ``behaviour``."""
        (self.service.folder / "behaviour").write_text(behaviour)

    def noted(self, name: str) -> list[int]:
        """Return the numbers of the items that ``began`` or ``logged``, as they did."""
        path = self.service.folder / name
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def start(self, *options: str, items: int = 100_000, **others: Any) -> Run:
        """Begin a run; return once an item has begun."""
        run = self.service.start(str(items), "--workers", "2", *options, **others)
        wait_for(lambda: self.noted("began") or run.process.poll(), "an item to begin")
        assert run.process.returncode is None, run.wait().stderr
        return run


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
        bench = Bench(service, (QUICK, SHORT)[count % 2])
        run = bench.start()
        time.sleep(random.random())
        began = time.monotonic()
        send(run, number)
        finished = run.wait()
        longest = max(longest, time.monotonic() - began)
        assert run.wait_until_gone(1) < 1
        assert (finished.code, finished.stderr.count("Traceback")) == (code, 0), finished.stderr
        done = {f"item-{number}" for number in bench.noted("logged")}
        assert set(bench.service.outcomes()) == done
        assert len(bench.noted("began")) == len(done)
        assert set(re.findall(r"(item-\d+) was done", bench.service.log_text())) == done
    report(f"stopped by {way}", tries=TRIES, seconds=longest)


@pytest.mark.parametrize(("way", "send", "number", "code"), WAYS, ids=[way[0] for way in WAYS])
def test_stopped_while_it_starts(
    service: Services, way: str, send: Callable[..., None], number: int, code: int
) -> None:
    """A signal while the service starts ends it at once, without a traceback."""
    longest = 0.0
    for _ in range(TRIES):
        bench = Bench(service, SHORT)
        run = bench.service.start("1000", "--workers", "2")
        time.sleep(random.random() * 0.5)
        began = time.monotonic()
        send(run, number)
        finished = run.wait(3)
        run.wait_until_gone(1)
        longest = max(longest, time.monotonic() - began)
        assert finished.code in (code, -number)
        assert ", in main\n" not in finished.stderr  # where Python itself has started
    report(f"stopped by {way} while it starts", tries=TRIES, seconds=longest)


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


def stop_processes(run: Run, stopped: list[str]) -> None:
    """Send SIGSTOP to the processes with these roles."""
    pids = [*run.worker_pids()] if "workers" in stopped else []
    if "listener" in stopped:
        pids.append(wait_for(run.listener_pid, "the listener"))
    for pid in pids:
        kill_process(pid, signal.SIGSTOP)


@stubborn
def test_what_does_not_finish_is_killed(
    service: Services, what: str, behaviour: str, stopped: list[str]
) -> None:
    """Whoever does not finish within the grace period is killed: all gone 2 s after it ended."""
    bench = Bench(service, behaviour)
    run = bench.start("--grace", "1")
    stop_processes(run, stopped)
    began = time.monotonic()
    run.send(signal.SIGTERM)
    finished = run.wait(10)
    run.wait_until_gone(1)
    took = time.monotonic() - began
    assert finished.code == 143
    assert took < 1 + 2
    done = {f"item-{number}" for number in bench.noted("logged")}
    assert done - set(bench.service.outcomes()) == set()
    report(f"stopped with {what}", tries=1, seconds=took)


@stubborn
def test_second_signal_ends_it_now(
    service: Services, what: str, behaviour: str, stopped: list[str]
) -> None:
    """After a second signal nothing is waited for: all gone within a second."""
    bench = Bench(service, behaviour)
    run = bench.start("--grace", "60")
    stop_processes(run, stopped)
    run.send(signal.SIGINT)
    time.sleep(0.3)
    began = time.monotonic()
    run.send(signal.SIGINT)
    finished = run.wait(10)
    run.wait_until_gone(1)
    took = time.monotonic() - began
    assert finished.code == 130
    assert took < 1
    report(f"second signal with {what}", tries=1, seconds=took)


SOURCES = [
    ("waits for input", "sys.stdin.readline()"),
    ("sleeps", "time.sleep(1_000)"),
    ("computes for ever", "while True: pass"),
]


@pytest.mark.parametrize(("what", "code"), SOURCES, ids=[row[0] for row in SOURCES])
def test_source_is_stuck(service: Services, what: str, code: str) -> None:
    """An items() that never returns does not keep the service from a clean end."""
    one = service("""
        import sys, time

        def items(inputs):
            yield "first", 0
            exec(inputs[0])

        def work(payload):
            return payload
    """)
    run = one.start(code, stdin=subprocess.PIPE)
    wait_for(lambda: one.count() == 1, "the first outcome")
    began = time.monotonic()
    run.send(signal.SIGTERM)
    assert run.process.wait(5) == 143
    took = time.monotonic() - began
    finished = run.wait()
    assert took < 2
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
    bench = Bench(service, behaviour)
    run = bench.start("--start-method", start_method, items=2_000)
    stop_processes(run, stopped)
    time.sleep(random.random() * 0.2)
    run.send(signal.SIGKILL)
    run.process.wait()
    took = run.wait_until_gone(2)
    logged = set(re.findall(r"item-(\d+) was done", bench.service.log_text()))
    assert set(map(str, bench.noted("logged"))) <= logged
    bench.behave(QUICK)
    assert bench.service.run("2000").code == 0
    results = {key: row["result"] for key, row in bench.service.outcomes().items()}
    assert results == {f"item-{number}": str(number) for number in range(2_000)}
    report(f"main killed, {what}: {start_method}", tries=1, lost=0, seconds=took)


def test_log_is_reopened(service: Services) -> None:
    """After SIGHUP the log goes on in a new file of the same name, as logrotate expects."""
    bench = Bench(service, SHORT)
    run = bench.start()
    old = bench.service.log.with_name("old.log")
    bench.service.log.rename(old)
    run.send(signal.SIGHUP)
    wait_for(lambda: bench.service.log.exists() and bench.service.log.read_text(), "a new log")
    run.send(signal.SIGTERM)
    assert run.wait().code == 143
    both = old.read_text() + bench.service.log.read_text()
    assert sorted(map(int, re.findall(r"item-(\d+) was done", both))) == sorted(
        bench.noted("logged")
    )
    assert "run ends" in bench.service.log.read_text()


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
    """Return the states of a process's children."""
    return [child.status() for child in process.children()]


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
