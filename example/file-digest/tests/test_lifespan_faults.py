"""Faults of ``lifespan`` and of workers that have one, and the required outcomes."""

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .support.service import HANG_SECONDS, Run, Service, report, wait_for

Services = Callable[..., Service]

JOB = """
    import ctypes, os, signal, threading, time
    from contextlib import contextmanager
    from pathlib import Path

    NOTES = Path(__file__).with_name("notes")

    def note(*words):
        with NOTES.open("a") as file:
            file.write(" ".join(map(str, words)) + "\\n")

    def items(inputs):
        return ((f"item-{number}", inputs[number % len(inputs)]) for number in range(40))

    def work(payload, resource):
        exec(payload)
        return [resource, threading.get_ident()]

    @contextmanager
    def lifespan(index):
        note("up", index, os.getpid())
        SETUP
        yield f"resource of {index} in {os.getpid()} by {threading.get_ident()}"
        TEARDOWN
        note("down", index, os.getpid())
"""
QUICK = "time.sleep(0.02)"


def job(setup: str = "pass", teardown: str = "pass") -> str:
    """Return a job that notes when its lifespans begin and end, and does this besides."""
    return JOB.replace("SETUP", setup).replace("TEARDOWN", teardown)


def notes(service: Service, what: str) -> list[tuple[int, int]]:
    """Return the place and the process id of each lifespan that began or ended, in order."""
    path = service.package / "notes"
    text = path.read_text() if path.exists() else ""
    found = re.findall(rf"^{what} (\d+) (\d+)$", text, re.MULTILINE)
    return [(int(at), int(pid)) for at, pid in found]


def test_a_worker_is_set_up_once_around_all_its_items(service: Services, start_method: str) -> None:
    """work() gets what lifespan() yielded, in the thread that set it up; each is torn down once."""
    one = service(job())
    finished = one.run(QUICK, "--workers", "3", "--start-method", start_method)
    assert finished.code == 0, finished.stderr
    ups, downs = notes(one, "up"), notes(one, "down")
    assert {place for place, _ in ups} <= {0, 1, 2}
    assert len({place for place, _ in ups}) == len({pid for _, pid in ups}) == len(ups)
    given = {tuple(one.result(key)) for key in one.outcomes()}
    used = {(int(text.split()[2]), int(text.split()[4])) for text, _ in given}
    assert all(text.endswith(f" by {thread}") for text, thread in given)
    assert used <= set(downs) <= set(ups)
    assert len(downs) == len(set(downs))


CANNOT_START = [
    ("it raises", "raise ValueError('no such model')", "ValueError: no such model"),
    ("SystemExit", "raise SystemExit('no licence')", "SystemExit: no licence"),
    ("KeyboardInterrupt", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("it never yields", "return", "RuntimeError: generator didn't yield"),
    ("it ends the process", "os._exit(7)", "worker died: exit code 7"),
    ("it hangs", "time.sleep(1_000)", "not ready after 2 s"),
]


@pytest.mark.parametrize(("what", "setup", "cause"), CANNOT_START, ids=[r[0] for r in CANNOT_START])
def test_set_up_fails(service: Services, what: str, setup: str, cause: str) -> None:
    """A worker whose set-up fails cannot start: back-off, exit 3, the reason in one line."""
    one = service(job(setup))
    finished = one.run(QUICK, "--workers", "2", "--start-timeout", "2" if "hang" in what else "60")
    error = finished.stderr.splitlines()[-1]
    assert (finished.code, one.count()) == (3, 0), finished.stderr
    assert error.startswith("Error: workers cannot start: ")
    assert cause in error
    report(f"set-up: {what}", seconds=finished.seconds)


NO_CONTEXT = [
    ("a generator function without @contextmanager", "@contextmanager", ""),
    ("an asynchronous one", "@contextmanager\n    def", "async def"),
]


@pytest.mark.parametrize(("what", "old", "new"), NO_CONTEXT, ids=[row[0] for row in NO_CONTEXT])
def test_lifespan_is_no_context_manager(service: Services, what: str, old: str, new: str) -> None:
    """It is only known in a worker, when it is called: exit 3, and the line says what to do."""
    finished = service(job().replace(old, new)).run(QUICK, "--workers", "1")
    error = finished.stderr.splitlines()[-1]
    assert finished.code == 3, what
    assert "lifespan() must return a context manager (is @contextmanager missing" in error


BAD_ENDS = [
    ("it raises", "raise ValueError('cannot close')", "ValueError: cannot close"),
    ("SystemExit", "raise SystemExit(9)", "SystemExit: 9"),
    ("it ends the process", "os._exit(7)", "worker died: exit code 7"),
    ("a segfault", "ctypes.string_at(0)", "worker died: SIGSEGV"),
    ("it hangs", "time.sleep(1_000)", "lifespan() did not end within the grace period"),
    (
        "it hangs in C and holds the GIL",
        "ctypes.PyDLL(None).sleep(1_000)",
        "lifespan() did not end within the grace period",
    ),
]


@pytest.mark.parametrize(("what", "teardown", "told"), BAD_ENDS, ids=[row[0] for row in BAD_ENDS])
def test_teardown_fails(service: Services, what: str, teardown: str, told: str) -> None:
    """A teardown that raises, dies or hangs costs no outcome and no exit code: the log tells."""
    one = service(job(teardown=teardown))
    finished = one.run(QUICK, "--workers", "2", "--grace", "1")
    assert (finished.code, one.count()) == (0, 40), finished.stderr
    assert told in one.log_text()
    report(f"teardown: {what}", seconds=finished.seconds)


def stopped(service: Services, teardown: str, payload: str, grace: str) -> tuple[Service, Run]:
    """Return a run that was just told to stop, each worker at an item."""
    one = service(job(teardown=teardown))
    run = one.start(payload, "--workers", "2", "--grace", grace)
    wait_for(lambda: len(notes(one, "up")) == 2 and one.count(), "items done by set-up workers")
    run.send(signal.SIGTERM)
    return one, run


def test_teardown_runs_on_a_stop(service: Services) -> None:
    """SIGTERM: running items finish, then each worker tears down, within the grace period."""
    one, run = stopped(service, "time.sleep(1.5)", "time.sleep(0.3)", "20")
    finished = run.wait(15)
    assert finished.code == 143
    assert sorted(notes(one, "down")) == sorted(notes(one, "up"))
    assert run.wait_until_gone(2) < 2


def test_teardown_that_hangs_on_a_stop_has_a_bound(service: Services) -> None:
    """SIGTERM: a teardown that hangs keeps nobody longer than the grace period and 2 s."""
    one, run = stopped(service, "time.sleep(1_000)", "time.sleep(0.1)", "1.5")
    began = time.monotonic()
    finished = run.wait(10)
    assert finished.code == 143
    assert time.monotonic() - began < 1.5 + 2 + 1  # a second for a busy machine
    assert notes(one, "down") == []
    assert "lifespan() did not end within the grace period" in one.log_text()


def test_a_second_signal_ends_a_teardown(service: Services) -> None:
    """A second signal does not wait for teardowns."""
    one, run = stopped(service, "note('tearing', 0, 0); time.sleep(1_000)", QUICK, "60")
    wait_for(lambda: notes(one, "tearing"), "a teardown")
    time.sleep(0.6)  # a second request counts only half a second after the first
    run.send(signal.SIGTERM)
    assert run.wait(10).code == 143
    assert run.wait_until_gone(2) < 2


def test_stopped_while_a_worker_is_set_up(service: Services) -> None:
    """SIGTERM does not wait for a set-up that hangs."""
    one = service(job("time.sleep(1_000)"))
    run = one.start(QUICK, "--workers", "2", "--grace", "1")
    wait_for(lambda: notes(one, "up"), "a set-up")
    run.send(signal.SIGTERM)
    assert run.wait(10).code == 143
    assert run.wait_until_gone(2) < 2


DEATHS = [
    ("a time limit", "time.sleep(1_000)", "timed out after 1 s"),
    ("a segfault", "ctypes.string_at(0)", "worker died: SIGSEGV"),
]


@pytest.mark.parametrize(("what", "fault", "why"), DEATHS, ids=[row[0] for row in DEATHS])
def test_a_replacement_takes_the_place(
    service: Services, tmp_path: Path, what: str, fault: str, why: str
) -> None:
    """A killed worker tears nothing down; the one in its place sets up anew under its index."""
    once = tmp_path / "once"
    payload = f"p = Path({str(once)!r}); q = p.exists(); p.touch(); q or {fault}"
    one = service(job())
    finished = one.run(payload, "--workers", "1", "--item-timeout", "1")
    assert (finished.code, one.count()) == (0, 40), finished.stderr
    (first, killed), (second, successor) = notes(one, "up")
    assert (first, second) == (0, 0)
    assert killed != successor
    assert notes(one, "down") == [(0, successor)]
    assert why in one.log_text()
    report(f"replaced after {what}", seconds=finished.seconds)
    assert finished.seconds < HANG_SECONDS
