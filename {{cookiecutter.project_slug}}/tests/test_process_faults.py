"""Processes and signals of items() and work(), and the required outcomes."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial

import psutil
import pytest

from {{ cookiecutter.package_name }}.settings import start_methods

from .support.service import SLACK, TRIES, Run, Service, is_alive, report, wait_for

pytest.importorskip("fcntl", reason="these processes are those of POSIX")
assert sys.platform != "win32"

Services = Callable[..., Service]

ENDLESS = "time.sleep(1_000)"
ENDS = [
    ("the item is done", "pass", 0, 0),
    ("the worker leaves", "os._exit(1)", 0, 1),
    ("the worker is killed", "os.kill(os.getpid(), signal.SIGKILL)", 0, 1),
    ("the worker segfaults", "ctypes.string_at(0)", 0, 1),
    ("the item is timed out", ENDLESS, 0, 1),
    ("the grace period is over", ENDLESS, signal.SIGTERM, 143),
    ("main is killed", ENDLESS, signal.SIGKILL, -signal.SIGKILL),
]


@pytest.mark.parametrize(("how", "end", "number", "code"), ENDS, ids=[row[0] for row in ENDS])
def test_what_work_started_ends_with_its_worker(
    service: Services, how: str, end: str, number: int, code: int
) -> None:
    """Programs, shells with programs, forked children, multiprocessing's: nothing is left."""
    one = service("starting")
    pids = one.folder / "pids"
    options = ["--max-attempts", "1", "--grace", "0"]
    options += [] if number else ["--item-timeout", "3"]
    run = one.start(end, "--workers", "1", *options)
    wait_for(pids.exists, "all to be started")
    if number:
        run.send(number)
    assert run.wait().code == code
    took = run.wait_until_gone(2)
    assert len(pids.read_text().split()) == 10
    report(f"{how}, and what work() started", tries=1, seconds=took)


@pytest.mark.parametrize("start_method", start_methods())
def test_what_left_the_group_lives_on(service: Services, start_method: str) -> None:
    """A program in a session of its own is not the service's any more, however its worker ends."""
    one = service("leaving_the_group")
    options = ("--workers", "1", "--max-attempts", "1", "--start-method", start_method)
    run = one.start(*options)
    # Nobody waits for its output: the program has it open.
    assert run.process.wait(60) == 1
    program = psutil.Process(int((one.folder / "pid").read_text()))
    assert is_alive(program)
    program.kill()
    run.wait_until_gone(2)


def test_work_reads_an_empty_standard_input(service: Services, start_method: str) -> None:
    """Only items() reads standard input: it is empty for the workers' programs."""
    one, count = service("reading_input"), 200
    run = one.start("--workers", "2", "--start-method", start_method, stdin=subprocess.PIPE)
    assert run.process.stdin
    for number in range(count):
        run.process.stdin.write(f"item-{number}\n")
    run.process.stdin.flush()
    wait_for(lambda: one.count() >= count // 2, "the first items")  # its end is not there yet
    finished = run.wait()
    assert (finished.code, one.count()) == (0, count)
    assert {row["result"] for row in one.outcomes().values()} == {'["", "", true, ""]'}


def test_children_begin_with_pythons_own_signals(service: Services, start_method: str) -> None:
    """A child of items() or work(), by any start method, has no signal blocked or handled."""
    one = service("childrens_signals")
    assert one.run("--start-method", start_method).code == 0
    methods = len(start_methods())
    for key in one.outcomes():
        states, ends = one.result(key)
        assert states == [[[], "default_int_handler", 0, 0, 0, 0, 0]] * (1 + methods), key
        assert ends == [-signal.SIGTERM] * methods, key


@pytest.mark.parametrize("where", ["items", "work"])
@pytest.mark.parametrize("method", start_methods())
def test_pools_never_hang(service: Services, where: str, method: str) -> None:
    """Pool after Pool inside items() and work() comes to its end."""
    count = (100 if (method, where) == ("fork", "work") else 10) * TRIES
    one = service("pools")
    finished = one.run(where, method, str(count), "--workers", "2")
    assert (finished.code, one.count()) == (0, count)
    report(f"Pools by {method} in {where}()", tries=count, seconds=finished.seconds)


@pytest.mark.parametrize("end", ["join", "terminate"])
def test_active_children_are_the_jobs_own(service: Services, end: str) -> None:
    """Whoever waits for all of them in items(), or ends them, does not reach the service's.

    On dask that holds once its workers are ready.
    """
    one = service(f"""
    import multiprocessing, os, time

    def items(inputs):
        yield "first", 0
        while not os.path.exists("begun"):
            time.sleep(0.01)
        own = multiprocessing.Process(target=time.sleep, args=(0,))
        own.start()
        own.join()
        children = [own, *multiprocessing.active_children()]
        for child in children:
            child.{end}()
        yield "last", len(children)

    def work(payload):
        open("begun", "w").close()
        return payload
    """)
    assert one.run("--workers", "1", "--start-method", "fork").code == 0
    assert one.result("last") == 1


def test_the_job_may_choose_its_own_start_method(service: Services, start_method: str) -> None:
    """Once for each process, as its import does; workers are started as the service has it.

    A forked worker begins with "fork": multiprocessing itself says so to whom it forks.
    """
    one = service("""
    import multiprocessing

    multiprocessing.set_start_method("spawn")

    def items(inputs):
        yield "key", 0

    def work(payload):
        return multiprocessing.get_start_method()
    """)
    finished = one.run("--start-method", start_method)
    assert (finished.code, finished.stderr) == (0, "")
    assert one.result("key") == ("fork" if start_method == "fork" else "spawn")


def test_the_job_may_choose_its_own_event_loop(service: Services) -> None:
    """One that keeps its own time, as uvloop's; the service's own loops are not of that kind."""
    one = service("""
    import asyncio

    class Loop(asyncio.SelectorEventLoop):
        def __setattr__(self, name, value):
            if name == "time":
                raise AttributeError("read-only")
            super().__setattr__(name, value)

    class Policy(asyncio.DefaultEventLoopPolicy):
        _loop_factory = Loop

    asyncio.set_event_loop_policy(Policy())

    def items(inputs):
        yield "key", 0

    async def name_of_loop():
        return type(asyncio.get_running_loop()).__name__

    def work(payload):
        return asyncio.run(name_of_loop())
    """)
    finished = one.run("--workers", "1")
    assert (finished.code, finished.stderr) == (0, "")
    assert one.result("key") == "Loop"


CHILDREN = [(kind, method) for kind in ("fork", "import", "executor") for method in start_methods()]


@pytest.mark.parametrize(("kind", "method"), CHILDREN)
def test_children_of_items_keep_nobody(service: Services, kind: str, method: str) -> None:
    """Main is killed while the job has children there: workers and listener go, and forked ones."""
    one = service("children_of_items")
    one.environment |= {"AT_IMPORT": method} if kind == "import" else {}
    run = one.start(kind, method, "--workers", "2")
    wait_for(lambda: len(list(one.folder.glob("alive-*"))) >= 2, "work to begin")
    wait_for((one.folder / "begun").exists, "the children")
    time.sleep(0.5)
    ours = [*map(psutil.Process, [*run.worker_pids(), run.listener_pid()])]
    run.send(signal.SIGKILL)
    run.process.wait()
    began = time.monotonic()
    wait_for(lambda: not any(map(is_alive, ours)), "the end of workers and listener", SLACK * 2)
    took = time.monotonic() - began
    if method != "spawn" and sys.platform == "linux":  # see the README's limits
        run.wait_until_gone(2)
    run.kill()
    report(f"main killed, {kind} by {method} in items()", tries=1, seconds=took)


SIGCHLD = [
    ("ignored by a parent", {}, {signal.SIGCHLD}, "exit code 3"),
    (
        "ignored by the job",
        {"AT_IMPORT": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)"},
        set(),
        "exit code 3",
    ),
    (
        "asked for by the job",
        {"IN_ITEMS": "threading.Thread(target=reap, daemon=True).start()"},
        set(),
        "exit code",
    ),
]


def ignore(numbers: Iterable[int]) -> None:
    """Ignore signals; in the process that becomes the service."""
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)


@pytest.mark.parametrize("row", SIGCHLD, ids=[row[0] for row in SIGCHLD])
def test_how_children_ended_is_known(
    service: Services, start_method: str, row: tuple[str, dict[str, str], set[int], str]
) -> None:
    """Whoever ignores how processes end, or asks first: nobody waits for one that is gone."""
    what, environment, ignored, reason = row
    one = service("waiting_for_children")
    one.environment |= environment
    fixed = ("--workers", "2", "--max-attempts", "1", "--start-method", start_method)
    run = one.start(*fixed, preexec_fn=partial(ignore, ignored))
    wait_for(lambda: "run ends" in one.log_text(), "the last outcome")
    began = time.monotonic()
    finished = run.wait()
    took = time.monotonic() - began
    assert (finished.code, one.count(), one.count("failed")) == (1, 999, 1)
    assert one.outcomes()["item-500"]["error"].startswith(f"worker died: {reason}")
    assert took < SLACK * 5
    report(f"how children ended is {what}, {start_method}", tries=1, seconds=took)


def start_napping(service: Services, **options: Callable[[], None]) -> tuple[Service, Run]:
    """Start a run whose items take a second; return once one has begun."""
    one = service("napping")
    run = one.start("100", "1", "--workers", "2", **options)
    wait_for((one.folder / "began").exists, "an item to begin")
    return one, run


IGNORED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1"]


@pytest.mark.parametrize("name", IGNORED)
def test_ignored_signals_stay_ignored(service: Services, name: str) -> None:
    """Signals that nohup, or a script's &, ignored at the start stay without effect."""
    number = signal.Signals[name]
    one, run = start_napping(service, preexec_fn=partial(ignore, [number]))
    for _ in range(2):
        run.send_group(number)
        time.sleep(0.6)
    assert run.process.poll() is None
    other = signal.SIGTERM if number != signal.SIGTERM else signal.SIGINT
    run.send(other)
    assert run.wait().code == 128 + other
    assert "number of workers" not in one.log_text()
    assert "stack of " not in one.log_text()


def test_one_request_delivered_twice_is_one(service: Services) -> None:
    """timeout(1) and uv signal the group and main at once: running items finish all the same."""
    one, run = start_napping(service)
    for _ in range(3):
        run.send_group(signal.SIGTERM)
        run.send(signal.SIGTERM)
        time.sleep(0.05)
    finished = run.wait()
    assert finished.code == 143
    assert "a second signal ends them at once" in finished.stderr
    assert one.count("done") + one.count("failed") > 0
