"""``settled`` gets each outcome at least once, whatever it does itself and whoever is killed."""

import json
import re
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from file_digest.system.inheritance import SIGKILL

from .support.service import SLACK, Service, report, wait_for

Services = Callable[..., Service]

JOB = """
    import json, os, signal, sys, time
    from pathlib import Path

    FOLDER = Path(__file__).parents[2]

    def items(inputs):
        for number in range(int(inputs[0])):
            yield f"item-{number}", number

    def work(number):
        if number == 3:
            raise ValueError("no good")
        return {"square": number * number}

    def settled(outcomes):
        with open(FOLDER / "calls", "a") as calls:
            calls.write("x")
        calls, fault = os.path.getsize(FOLDER / "calls"), FOLDER / "fault"
        exec(fault.read_text() if fault.exists() else "")
        with open(FOLDER / "settled", "a") as file:
            for one in outcomes:
                name = (one.error or "").splitlines()[-1:]
                file.write(json.dumps([one.key, one.status, one.value, name, one.attempts]) + "\\n")
        exec((FOLDER / "then").read_text() if (FOLDER / "then").exists() else "")
"""
WITHOUT = "\ndel settled\n"
SLOW = "while not (FOLDER / 'go').exists(): time.sleep(0.01)"


def settled(one: Service) -> list[list[Any]]:
    """Return what ``settled`` took, in its order."""
    path = one.folder / "settled"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def keys(count: int, first: int = 0) -> set[str]:
    """Return the keys of so many items."""
    return {f"item-{number}" for number in range(first, first + count)}


def taken(one: Service) -> set[str]:
    """Return the keys that ``settled`` took."""
    return {key for key, *_ in settled(one)}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_each_outcome_is_settled_in_the_journals_order(service: Services, workers: str) -> None:
    """Done or failed, with what the journal holds of it; exactly once where nothing goes wrong."""
    one = service(JOB)
    finished = one.run("3000", "--workers", workers)
    assert finished.code == 1, finished.stderr
    rows = settled(one)
    assert [key for key, *_ in rows] == list(one.outcomes())
    by_key = {key: rest for key, *rest in rows}
    assert by_key["item-7"] == ["done", {"square": 49}, [], 1]
    assert by_key["item-3"] == ["failed", None, ["ValueError: no good"], 1]
    assert (len(rows), "left for settled()" in finished.stdout) == (3000, False)


@pytest.mark.parametrize("fault", ["raise ConnectionError('down')", "sys.exit('down')"])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_it_raises_three_times(service: Services, workers: str, fault: str) -> None:
    """Each is logged once, with its traceback; then it is called with the same outcomes."""
    one = service(JOB)
    (one.folder / "fault").write_text(f"if calls <= 3: {fault}")
    finished = one.run("100", "--workers", workers, "--grace", "30")
    assert finished.code == 1
    assert (len(settled(one)), taken(one)) == (100, keys(100))
    log = one.log_text()
    assert log.count("settled() raised for ") == log.count("in settled\n") == 3
    assert "left for settled()" not in finished.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("when", ["fault", "then"])
def test_main_is_killed_in_between(service: Services, when: str, workers: str) -> None:
    """After the commit, and before it is noted what is settled: the next run settles that."""
    one = service(JOB)
    (one.folder / when).write_text("os.kill(os.getpid(), signal.SIGKILL)")
    run = one.start("100", "--workers", workers)
    assert run.wait().code == -SIGKILL
    run.wait_until_gone(2)
    committed, before = set(one.outcomes()), one.count()
    assert committed
    (one.folder / when).unlink()
    assert one.run("0").code == 0
    assert (taken(one), one.count()) == (committed, before)
    assert len(settled(one)) == len(committed) * (2 if when == "then" else 1)
    one.run("100", "--workers", workers)
    assert taken(one) == keys(100)


FAILS = [("hangs", "time.sleep(600)"), ("raises", "raise ConnectionError('down')")]


@pytest.mark.parametrize(("what", "fault"), FAILS, ids=[row[0] for row in FAILS])
@pytest.mark.parametrize("stopped", [True, False], ids=["a stop", "the end"])
def test_what_it_does_not_take_is_left(
    service: Services, what: str, fault: str, *, stopped: bool
) -> None:
    """The run ends within the grace period and tells; the next one, with nothing to do, settles."""
    one = service(JOB)
    (one.folder / "fault").write_text(fault)
    poll = ("--poll", "600") if stopped else ()
    run = one.start("1000", "--workers", "2", "--grace", "1", *poll)
    wait_for(lambda: one.count() == 999, "all items")
    began = time.monotonic()
    if stopped:
        run.send(signal.SIGTERM)
    finished = run.wait()
    seconds = time.monotonic() - began
    report(f"settled {what}", seconds=seconds)
    assert seconds < SLACK * 3
    assert finished.code == (143 if stopped else 1)
    assert "left for settled() in the next run: 1000 outcomes" in finished.stdout
    assert "1000 outcomes are left for settled()" in one.log_text()
    assert "  1000 not settled\n" in one.command("status", "--results", str(one.results)).stdout
    (one.folder / "fault").unlink()
    again = one.run("1000", "--workers", "2")
    assert (again.code, "nothing to do" in again.stdout) == (1, True)  # one had failed
    assert (len(settled(one)), taken(one)) == (1000, keys(1000))


def test_a_slow_one_holds_up_no_worker(service: Services) -> None:
    """1,000 items are done and recorded while the first call lasts; the rest is settled then."""
    one = service(JOB)
    (one.folder / "fault").write_text(SLOW)
    run = one.start("1000", "--workers", "2", "--grace", "60")
    wait_for((one.folder / "calls").exists, "the first call")
    wait_for(lambda: one.count() == 999, "all items")
    assert settled(one) == []
    (one.folder / "go").touch()
    assert run.wait().code == 1
    assert taken(one) == keys(1000)


def test_the_end_waits_as_long_as_it_gets_on(service: Services) -> None:
    """Several calls take longer together than the grace period, and none takes as long."""
    one = service(JOB)
    (one.folder / "fault").write_text("time.sleep(1)")
    finished = one.run("4500", "--workers", "2", "--grace", "3")
    assert (finished.code, taken(one)) == (1, keys(4500))


def test_what_is_idle_is_settled(service: Services) -> None:
    """A run that waits for new items settles the last of the old ones, also after a failure."""
    one = service(JOB)
    (one.folder / "fault").write_text("if calls == 1: raise ConnectionError('down')")
    run = one.start("20", "--workers", "1", "--poll", "600")
    wait_for(lambda: taken(one) == keys(20), "all to be settled")
    run.send(signal.SIGTERM)
    assert run.wait().code == 143
    assert one.log_text().count("settled() raised for ") == 1


def test_what_a_job_without_it_recorded_counts_as_settled(service: Services) -> None:
    """Outcomes that a job with it left stay unsettled meanwhile."""
    one = service(JOB)
    job = one.package / "job.py"
    with_it = job.read_text()
    (one.folder / "fault").write_text("raise ConnectionError('down')")
    for count, text in (("10", WITHOUT), ("20", ""), ("30", WITHOUT)):
        job.write_text(with_it + text)
        one.run(count, "--workers", "1", "--grace", "1")
    assert taken(one) == set()
    (one.folder / "fault").unlink()
    job.write_text(with_it)
    one.run("40", "--workers", "1")
    assert taken(one) == keys(10, 10) | keys(10, 30)


NO_FUNCTIONS = [
    ("a set", "settled = set()"),
    ("asynchronous", "async def settled(outcomes): pass"),
    ("a generator", "def settled(outcomes): yield"),
    ("work that is asynchronous", "async def work(payload): pass"),
    ("work that is a generator", "def work(payload): yield"),
    ("work that is None", "work = None"),
    ("items that is a list", "items = []"),
]


@pytest.mark.parametrize(("what", "code"), NO_FUNCTIONS, ids=[row[0] for row in NO_FUNCTIONS])
def test_it_is_no_plain_function(service: Services, what: str, code: str) -> None:
    """It is known before anything starts: exit 2, one line, nothing touched; as the job's others.

    Their calls would do nothing, or fail each item for the same reason.
    """
    one = service(JOB)
    one.append(code)
    finished = one.run("3")
    assert (finished.code, finished.stdout, one.results.exists()) == (2, "", False), what
    assert len(finished.stderr.splitlines()) == 1
    assert re.match("Error: (settled|work|items) must be a (plain )?function, ", finished.stderr)
