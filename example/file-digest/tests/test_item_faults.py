"""Faults of an item, or of the source of items, and the required outcomes: tables of real faults.

A payload is Python text that work() executes, in the middle of thousands of quick items.
"""

import json
import signal
import sys
import time
from collections import Counter
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from .support.faulty import Services, run_with_fault
from .support.service import HANG_SECONDS, SLACK, report, wait_for

pytest.importorskip("fcntl", reason="these faults are those of POSIX")
assert sys.platform != "win32"

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
    ("that JSON has no word for", "result = [float('nan')]", "not JSON compliant"),
    ("of bytes", "result = b'x'", "bytes is not JSON serializable"),
    ("of more digits than Python shows", "result = 10**5_000", "Exceeds the limit"),
    ("whose keys are one in JSON", "result = [{1: 0, '1': 0}]", 'two keys of a dict are both "1"'),
    ("whose keys are both true", "result = {True: 0, 'true': 0}", 'are both "true" in JSON'),
    ("whose keys are both null", "result = {None: 0, 'null': 0}", 'are both "null" in JSON'),
    (
        "whose class cannot be shown",
        "result = type('Odd', (), {'__repr__': lambda self: 1 / 0})()",
        "Odd is not JSON serializable",
    ),
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
    """Side effects of work() on its process fail no item, and the run does not wait for them."""
    finished, bad = run_with_fault(service, code)
    assert (finished.code, bad["status"], bad["attempts"]) == (0, "done", 1)
    assert json.loads(bad["result"]) == value
    assert finished.seconds < 30
    report(f"work() {what}", tries=1, seconds=finished.seconds)


def test_a_child_that_comes_back_does_no_other_item(service: Services) -> None:
    """A child that returns from ``work`` leaves the remaining items of its task to its parent."""
    one = service("""
    import os

    def items(inputs):
        return ((str(n), n) for n in range(3_000))

    def work(n):
        if n == 2_000:
            os.fork()
        with open("done", "a") as file:
            file.write(f"{n}\\n")
    """)
    assert one.run("--workers", "1").code == 0
    done = Counter((one.folder / "done").read_text().split())
    assert {n for n, times in done.items() if times > 1} <= {"2000"}
    assert len(done) == 3_000


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
    assert bad["error"].startswith("timed out after 1 s")
    assert 1 <= bad["seconds"] < 1 + SLACK
    report(f"work() {what}", tries=2, seconds=finished.seconds)


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
    one = service("odd_payload")
    finished, outcomes = one.run(str(good), payload), one.outcomes()
    assert (finished.code, one.count("done"), one.count("failed")) == (1, 2 * good, 1)
    assert text in outcomes["bad"]["error"]


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
    one = service("held_up")
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
    one = service("held_up")
    run = one.start("ctypes.PyDLL(None).sleep(1_000)", "--workers", "2", "--grace", "0")
    began = time.monotonic()
    behind = {f"item-{number}" for number in range(2_001, 4_000)}
    wait_for(
        lambda: one.count() >= len(behind) and behind <= set(one.outcomes()),
        "the others",
        seconds=HANG_SECONDS / 2,
    )
    report("a slow item holds the GIL", tries=1, seconds=time.monotonic() - began)
    run.send(signal.SIGTERM)
    assert run.wait().code == 143


def test_source_is_slow(service: Services, tmp_path: Path) -> None:
    """Items are done as they are read: outcomes do not wait for the source's end."""
    one = service("slow_source")
    assert one.run(str(tmp_path)).code == 0
    assert one.count() == 5


def test_memory_stays_flat(service: Services) -> None:
    """Main grows by less than 20 MB between item 100,000 and the last of a million.

    Dask's scheduler, which is in main, keeps histories of bounded length, and fills them up later.
    """
    one = service("million")
    finished = one.run("--workers", "2")
    assert finished.code == 0
    assert "1000000 done, 0 failed" in finished.stdout
    unit = 1 if sys.platform == "darwin" else 1024
    early, late = (int((one.folder / f"peak-{n}").read_text()) for n in (100_000, 999_999))
    assert (late - early) * unit < (40e6 if util.find_spec("distributed") else 20e6)
    report("a million items", tries=1, megabytes=(late - early) * unit / 1e6)
