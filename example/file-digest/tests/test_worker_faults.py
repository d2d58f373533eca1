"""What must come out when an item, or the worker that holds it, fails: tables of real faults.

Each row breaks a running service as its users would see it broken. A payload is Python text that
work() executes, so that every fault is one line of a table; it stands in the middle of thousands
of quick items, which travel in large batches and must come out unharmed.
"""

import json
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from service import TRIES, Finished, Service, kill_process, report, wait_for

from file_digest.settings import start_methods

resource = pytest.importorskip("resource", reason="these deaths are those of POSIX")

Services = Callable[..., Service]

GOOD = 2_000
JOB = """
    import ctypes, functools, json, logging, os, signal, subprocess, sys, threading, time

    class Unpacks:
        def __init__(self, code):
            self.code = code

        def __reduce__(self):
            return execute, (self.code,)

    class Written(dict):
        def __init__(self, code):
            super().__init__(code=code)

        def __reduce__(self):
            return Written, (self["code"],)

        def items(self):
            return execute(self["code"])

    def execute(code):
        scope = {}
        exec(code, globals(), scope)
        return scope.get("result")

    def items(inputs):
        stage, code = inputs
        good = [(f"good-{number}", f"result = {number}") for number in range(2_000)]
        yield from good[:1_000]
        yield "bad", {"unpack": Unpacks, "work": str, "write": Written}[stage](code)
        yield from good[1_000:]

    def work(payload):
        return payload if isinstance(payload, dict) else execute(payload)
"""


def run_with_fault(
    service: Services, code: str, *options: str, stage: str = "work"
) -> tuple[Finished, dict[str, Any]]:
    """Run one faulty item among many good ones; return how it ended and the item's outcome."""
    one = service(JOB)
    finished = one.run(stage, code, "--workers", "2", *options)
    outcomes = one.outcomes()
    bad = dict(outcomes.pop("bad"))
    assert len(outcomes) == GOOD
    for key, row in outcomes.items():
        assert (row["status"], row["attempts"]) == ("done", 1), dict(row)
        assert row["result"] == key.removeprefix("good-")
    return finished, bad


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
    assert bad["error"] == "worker died: SIGABRT"
    assert runs.read_text() == "x" * attempts


ERRORS = [
    ("an argument that does not pickle", "raise ValueError(lambda: 0)", "ValueError: <function"),
    (
        "a message that cannot be made",
        "raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})",
        "Odd: <exception str() failed>",
    ),
    ("MemoryError", "raise MemoryError", "MemoryError"),
    ("SystemExit", "sys.exit('bye')", "SystemExit: bye"),
    ("KeyboardInterrupt", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("GeneratorExit", "raise GeneratorExit", "GeneratorExit"),
    ("the cause of another", "raise OSError('outer') from KeyError('inner')", "KeyError: 'inner'"),
    ("endless recursion", "f = lambda: f()\nglobals().update(f=f)\nf()", "RecursionError"),
    ("a lone surrogate", "raise ValueError('\\udcff')", "ValueError: \\udcff"),
]


@pytest.mark.parametrize(("what", "code", "text"), ERRORS, ids=[error[0] for error in ERRORS])
def test_work_raises(service: Services, what: str, code: str, text: str) -> None:
    """Whatever work() raises is the failure of its item, at once, with its traceback as text."""
    finished, bad = run_with_fault(service, code)
    assert (finished.code, bad["status"], bad["attempts"]) == (1, "failed", 1)
    assert "Traceback (most recent call last)" in bad["error"]
    assert text in bad["error"]
    report(f"work() raises {what}", tries=1, seconds=finished.seconds)


RESULTS = [
    ("that json cannot write", "result = lambda: 0", "is not JSON serializable"),
    ("that holds itself", "result = []; result.append(result)", "Circular reference"),
    (
        "nested too deep",
        "result = functools.reduce(lambda inner, _: [inner], range(200_000), [])",
        "RecursionError",
    ),
]


@pytest.mark.parametrize(("what", "code", "text"), RESULTS, ids=[row[0] for row in RESULTS])
def test_result_cannot_be_written(service: Services, what: str, code: str, text: str) -> None:
    """A result that cannot be written fails its item, with the reason."""
    finished, bad = run_with_fault(service, code)
    assert (finished.code, bad["status"], bad["attempts"]) == (1, "failed", 1)
    assert text in bad["error"]
    report(f"a result {what}", tries=1, seconds=finished.seconds)


def test_payload_does_not_unpickle(service: Services) -> None:
    """A payload that raises when a worker unpickles it fails its item alone."""
    finished, bad = run_with_fault(service, "raise ValueError('not here')", stage="unpack")
    assert (finished.code, bad["status"], bad["attempts"]) == (1, "failed", 1)
    assert "ValueError: not here" in bad["error"]


HARMLESS = [
    ("returns 50 MB", "result = 'x' * 50_000_000", "x" * 50_000_000),
    ("returns a lone surrogate", "result = '\\udcff'", "\udcff"),
    ("prints", "print('x' * 1_000_000)", None),
    ("closes descriptors 0 to 2", "os.closerange(0, 3)", None),
    ("closes the standard streams", "sys.stdout.close(); sys.stderr.close()", None),
    ("leaves a thread", "threading.Thread(target=time.sleep, args=(1_000,)).start()", None),
    ("runs a program", "result = subprocess.check_output(['echo', 'hi'], text=True)", "hi\n"),
    (
        "leaves a program",
        "subprocess.Popen(['sleep', '1000'], stdout=-3, stderr=-3, start_new_session=True)",
        None,
    ),
    (
        "leaves a forked child",
        "child = os.fork()\nif not child:\n    os.closerange(0, 3)\n    time.sleep(1_000)",
        None,
    ),
    ("forks a child that comes back", "os.fork()", None),
    ("takes all logging handlers away", "logging.getLogger().handlers.clear()", None),
    ("configures logging anew", "logging.basicConfig(force=True, stream=sys.stderr)", None),
    ("shuts logging down", "logging.shutdown()", None),
]


@pytest.mark.parametrize(("what", "code", "value"), HARMLESS, ids=[row[0] for row in HARMLESS])
def test_work_may_do_this(service: Services, what: str, code: str, value: Any) -> None:
    """What else work() does to its process harms no item, and the run does not wait for it."""
    finished, bad = run_with_fault(service, code)
    assert (finished.code, bad["status"], bad["attempts"]) == (0, "done", 1)
    assert json.loads(bad["result"]) == value
    assert finished.seconds < 30
    report(f"work() {what}", tries=1, seconds=finished.seconds)


HANGS = [
    ("sleeps for ever", "time.sleep(1_000)", "work"),
    ("ignores SIGTERM", "ctypes.CDLL(None).signal(15, 1); time.sleep(1_000)", "work"),
    ("is stopped", "os.kill(os.getpid(), signal.SIGSTOP)", "work"),
    ("holds the GIL in C", "ctypes.PyDLL(None).sleep(1_000)", "work"),
    ("waits for a lock", "lock = threading.Lock(); lock.acquire(); lock.acquire()", "work"),
    ("is stuck in unpickling", "time.sleep(1_000)", "unpack"),
    ("is stuck in writing its result", "time.sleep(1_000)", "write"),
]


@pytest.mark.parametrize(("what", "code", "stage"), HANGS, ids=[row[0] for row in HANGS])
def test_item_never_ends(service: Services, what: str, code: str, stage: str) -> None:
    """Each try of an item that never ends is ended by item_timeout; then it failed, timed out."""
    options = ("--item-timeout", "1", "--max-attempts", "2")
    finished, bad = run_with_fault(service, code, *options, stage=stage)
    assert (finished.code, bad["status"], bad["attempts"]) == (1, "failed", 2)
    assert bad["error"] == "timed out after 1 s"
    assert 1 <= bad["seconds"] < 2
    report(f"work() {what}", tries=2, seconds=finished.seconds)


LOAD_JOB = """
    import random, time
    from pathlib import Path

    def items(inputs):
        enough, number = Path(inputs[0]), 0
        while not enough.exists():
            yield f"item-{number}", number
            number += 1
        enough.write_text(str(number))

    def work(payload):
        time.sleep(0 if payload % 3 else random.random() * 0.02)
        return payload
"""


def test_busy_workers_are_killed(service: Services, tmp_path: Path) -> None:
    """Workers are killed at random under load: each item has one outcome, each worker a successor.

    A death costs at most one attempt, that of the item which was held.
    """
    kills, enough = 25 * TRIES, tmp_path / "enough"
    one = service(LOAD_JOB)
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


WAITING_JOB = """
    import time
    from pathlib import Path

    def items(inputs):
        gate = Path(inputs[0])
        yield "first", 0
        while not gate.exists():
            time.sleep(0.01)
        for number in range(100):
            yield f"item-{number}", number

    def work(payload):
        return payload
"""


def test_idle_worker_is_killed(service: Services, tmp_path: Path) -> None:
    """The death of workers that hold nothing costs no item an attempt."""
    gate = tmp_path / "gate"
    one = service(WAITING_JOB)
    run = one.start(str(gate), "--workers", "2")
    wait_for(lambda: one.count() == 1, "the first outcome")
    for pid in run.worker_pids():
        kill_process(pid)
    gate.touch()
    finished, outcomes = run.wait(), one.outcomes()
    assert (finished.code, len(outcomes)) == (0, 101)
    assert {row["attempts"] for row in outcomes.values()} == {1}
    report("idle worker killed", tries=2, lost=101 - len(outcomes), seconds=finished.seconds)


LARGE_JOB = """
    import os
    from pathlib import Path

    def items(inputs):
        yield "large", inputs[0]

    def work(payload):
        with open(payload, "a") as pids:
            print(os.getpid(), file=pids)
        return "x" * 50_000_000
"""


def test_worker_is_killed_while_it_sends(service: Services, tmp_path: Path) -> None:
    """A worker that dies with half of a large result sent is replaced; the result comes whole."""
    pids = tmp_path / "pids"
    one = service(LARGE_JOB)
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


SLOW_TO_START_JOB = """
    import multiprocessing, os, sys, time
    from pathlib import Path

    first = Path("first")
    if multiprocessing.parent_process() and not first.exists():
        first.with_suffix(".part").write_text(str(os.getpid()))
        first.with_suffix(".part").rename(first)
        time.sleep(60)

    def items(inputs):
        return ((f"item-{number}", number) for number in range(100))

    def work(payload):
        return payload
"""


@pytest.mark.parametrize("start_method", [way for way in start_methods() if way != "fork"])
def test_worker_is_killed_while_it_starts(service: Services, start_method: str) -> None:
    """A worker that dies before it is ready is replaced; the items do not notice."""
    one = service(SLOW_TO_START_JOB)
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
    enough = tmp_path / "enough"
    one = service(LOAD_JOB)
    run = one.start(str(enough), "--workers", "2", "--start-method", "forkserver")
    wait_for(lambda: len(run.worker_pids()) == 2, "the workers")
    for process in run.processes():
        parent = process.parent()
        if parent and parent.pid == run.process.pid and process.children():
            process.kill()
    before = run.worker_pids()
    wait_for(lambda: set(run.worker_pids()) - set(before), "new workers")
    enough.touch()
    finished, outcomes = run.wait(), one.outcomes()
    assert (finished.code, len(outcomes)) == (0, int(enough.read_text()))
    assert run.wait_until_gone(2) < 2
    report("forkserver killed", tries=1, seconds=finished.seconds)


def test_items_raises_in_the_middle(service: Services) -> None:
    """What items() yielded before it raised is done; the run ends with exit code 1 and one line."""
    one = service("""
        def items(inputs):
            for number in range(1_000):
                yield f"item-{number}", number
            raise RuntimeError("no more")

        def work(payload):
            return payload
    """)
    finished = one.run()
    assert (finished.code, one.count()) == (1, 1_000)
    assert finished.stderr.strip().splitlines() == ["Error: items() raised RuntimeError: no more"]
    assert "Traceback" in one.log_text()


ODD_PAYLOADS_JOB = """
    import sys, threading

    class Odd:
        def __reduce__(self):
            sys.exit("not this one")

    def items(inputs):
        good, payload = range(int(inputs[0])), eval(inputs[1])
        yield from ((f"before-{number}", number) for number in good)
        yield "bad", payload
        yield from ((f"after-{number}", number) for number in good)

    def work(payload):
        return payload
"""


@pytest.mark.parametrize("good", [0, 1_000])
@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ("threading.Lock()", "payload cannot be sent to a worker: Traceback"),
        ("Odd()", "SystemExit: not this one"),
    ],
    ids=["TypeError", "SystemExit"],
)
def test_payload_does_not_pickle(service: Services, payload: str, text: str, good: int) -> None:
    """A payload that raises when it is pickled fails its item, and no other of its batch."""
    one = service(ODD_PAYLOADS_JOB)
    finished, outcomes = one.run(str(good), payload), one.outcomes()
    assert (finished.code, one.count("done"), one.count("failed")) == (1, 2 * good, 1)
    assert text in outcomes["bad"]["error"]


HELD_UP_JOB = """
    import ctypes, time
    from pathlib import Path

    def items(inputs):
        for number in range(4_000):
            yield f"item-{number}", inputs[0] if number == 2_000 else ""

    def work(payload):
        exec(payload)
"""


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("sleeps", "while not Path('go-on').exists(): time.sleep(0.01)"),
        ("computes", "while not Path('go-on').exists(): pass"),
    ],
    ids=["sleeps", "computes"],
)
def test_slow_item_holds_nobody_up(service: Services, what: str, code: str) -> None:
    """All other items are done while one takes its time, also those that travelled with it."""
    one = service(HELD_UP_JOB)
    run = one.start(code, "--workers", "2")
    began = time.monotonic()
    wait_for(lambda: one.count() == 3_999, "all items but the slow one")
    took = time.monotonic() - began
    (one.folder / "go-on").touch()
    assert (run.wait().code, one.count()) == (0, 4_000)
    report(f"a slow item {what}", tries=1, seconds=took)


def test_item_that_holds_the_gil_holds_up_nobody_behind_it(service: Services) -> None:
    """Items that wait behind it in its worker are done elsewhere.

    The results of the few milliseconds before it, in its own batch, must wait: only the worker
    has them, and it cannot speak.
    """
    one = service(HELD_UP_JOB)
    run = one.start("ctypes.PyDLL(None).sleep(1_000)", "--workers", "2", "--grace", "0")
    began = time.monotonic()
    behind = {f"item-{number}" for number in range(2_001, 4_000)}
    wait_for(lambda: one.count() >= len(behind) and behind <= set(one.outcomes()), "the others")
    report("a slow item holds the GIL", tries=1, seconds=time.monotonic() - began)
    run.send(signal.SIGTERM)
    assert run.wait().code == 143


SLOW_SOURCE_JOB = """
    import time
    from pathlib import Path

    def items(inputs):
        for number in range(5):
            done = Path(inputs[0], str(number))
            yield str(number), done
            while not done.exists():
                time.sleep(0.01)

    def work(payload):
        payload.touch()
"""


def test_source_is_slow(service: Services, tmp_path: Path) -> None:
    """Items are done as they are read: outcomes do not wait for the source's end."""
    one = service(SLOW_SOURCE_JOB)
    assert one.run(str(tmp_path)).code == 0
    assert one.count() == 5


def test_memory_stays_flat(service: Services) -> None:
    """Main grows by less than 20 MB between item 100,000 and the last of a million."""
    one = service("""
        import resource
        from pathlib import Path

        def items(inputs):
            for number in range(1_000_000):
                if number in (100_000, 999_999):
                    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    Path(f"peak-{number}").write_text(str(peak))
                yield f"item-{number}", number

        def work(payload):
            return payload
    """)
    finished = one.run("--workers", "2")
    assert finished.code == 0
    assert "1000000 done, 0 failed" in finished.stdout
    unit = 1 if sys.platform == "darwin" else 1024
    early, late = (int((one.folder / f"peak-{n}").read_text()) for n in (100_000, 999_999))
    assert (late - early) * unit < 20e6
    report("a million items", tries=1, megabytes=(late - early) * unit / 1e6)


CANNOT_START_JOB = """
import ctypes, multiprocessing, os, pickle

def items(inputs):
    return ((f"item-{number}", number) for number in range(100))

def work(payload):
    return payload

"""
IN_WORKER, EVERYWHERE = "if multiprocessing.parent_process(): ", ""
CANNOT_START = [
    ("a bad import", IN_WORKER + "import no_such_module", "No module named 'no_such_module'"),
    ("a bad import, in main too", EVERYWHERE + "import no_such", "No module named 'no_such'"),
    ("a syntax error", EVERYWHERE + "1 +", "SyntaxError: invalid syntax"),
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
    one = service(CANNOT_START_JOB + code)
    finished = one.run("--start-method", "spawn")
    assert finished.code == 3
    assert finished.seconds < 15
    assert cause in finished.stderr
    assert finished.stderr.count("\n") == 1
    assert cause in one.log_text()
    report(f"workers cannot start: {why}", tries=1, seconds=finished.seconds)


@pytest.mark.parametrize("files", [20, 30])
def test_file_descriptors_run_out(service: Services, files: int) -> None:
    """With too few file descriptors the run ends within 15 s and says what is missing, or works."""
    one = service(WAITING_JOB)
    (one.folder / "gate").touch()
    finished = one.run(
        *("gate", "--workers", "8"),
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_NOFILE, (files, files)),
    )
    assert finished.seconds < 15
    if finished.code:
        assert finished.code == 3
        last = finished.stderr.splitlines()[-1]
        assert last.startswith("Error: ")
        assert "Too many open files" in last
    else:
        assert one.count() == 101
    report(f"only {files} file descriptors", tries=1, seconds=finished.seconds)
