"""Items whose ``work`` raises a type in ``RETRY``."""

import re
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from .support.service import Service, report, wait_for

Services = Callable[..., Service]

JOB = """
    import ctypes, os, time
    from pathlib import Path

    class Busy(Exception):
        pass

    RETRY = (ConnectionError, Busy)
    TRIES = Path(__file__).with_name("tries")

    def items(inputs):
        yield "flaky", inputs[0]
        for number in range(int(inputs[1])):
            yield f"item-{number}", "time.sleep(0.01)"

    def work(payload):
        if payload.startswith("time"):
            return exec(payload)
        TRIES.open("a").write(f"{time.time()}\\n")
        tried = len(TRIES.read_text().split())
        exec(payload)
        return tried
"""


def tries(service: Service) -> list[float]:
    """Return when the flaky item was tried."""
    path = service.package / "tries"
    return [float(line) for line in path.read_text().split()] if path.exists() else []


def once(fault: str) -> str:
    """Return what does this at the first attempt only."""
    return f"if tried < 2: {fault}"


WORTH = [
    ("a subclass", once("raise ConnectionRefusedError"), ("done", 2, "")),
    ("the job's own type", once("raise Busy"), ("done", 2, "")),
    ("each time", "raise Busy('full')", ("failed", 3, "Busy: full")),
    ("another type", "raise ValueError('bad')", ("failed", 1, "ValueError: bad")),
    ("then another", f"{once('raise Busy')}\nraise ValueError", ("failed", 2, "ValueError")),
    ("then a death", f"{once('raise Busy')}\nctypes.string_at(0)", ("failed", 3, "SIGSEGV")),
]


@pytest.mark.parametrize(("what", "code", "outcome"), WORTH, ids=[row[0] for row in WORTH])
def test_what_is_worth_another_attempt(
    service: Services, what: str, code: str, outcome: tuple[str, int, str]
) -> None:
    """The outcome is the last attempt's, the journal says how many it took; no other item cares."""
    one, (status, attempts, error) = service(JOB), outcome
    finished = one.run(code, "300", "--workers", "2", "--retry-delay", "0.1")
    outcomes = one.outcomes()
    flaky = outcomes.pop("flaky")
    assert (flaky["status"], flaky["attempts"]) == (status, attempts), flaky["error"]
    assert len(tries(one)) == attempts
    assert finished.code == (status == "failed")
    assert error in (flaky["error"] or "")
    assert [row["attempts"] for row in outcomes.values()] == [1] * 300
    report(f"tried again: {what}", seconds=finished.seconds)


def test_the_delay_is_doubled(service: Services) -> None:
    """Each wait is twice as long as the one before, give or take a half; the log tells each."""
    one = service(JOB)
    options = ("--retry-delay", "0.4", "--max-attempts", "4")
    finished = one.run("raise Busy", "0", "--workers", "1", *options)
    assert finished.code == 1
    told = re.findall(r"item flaky is tried again in ([\d.]+) s, attempt (\d) of 4", one.log_text())
    assert [number for _, number in told] == ["2", "3", "4"]
    waits = [after - before for before, after in pairwise(tries(one))]
    for step, (wait, (said, _)) in enumerate(zip(waits, told, strict=True)):
        assert 0.5 * 0.4 * 2**step <= float(said) + 0.05 <= 1.5 * 0.4 * 2**step + 0.1
        assert wait >= float(said) - 0.1


def test_a_waiting_item_holds_no_worker(service: Services) -> None:
    """One worker does all other items meanwhile; the run waits for the last one that waits."""
    one = service(JOB)
    finished = one.run(once("raise Busy"), "100", "--workers", "1", "--retry-delay", "4")
    assert (finished.code, one.count()) == (0, 101)
    *_, last = sorted(one.outcomes().values(), key=lambda row: row["started"])
    first, second = tries(one)
    assert (last["key"], last["attempts"]) == ("flaky", 2)
    assert second - first >= 2
    others = [row["started"] for key, row in one.outcomes().items() if key != "flaky"]
    assert len([started for started in others if started < second]) == 100


def test_a_stop_does_not_wait(service: Services) -> None:
    """SIGTERM: what waits has no outcome, the run ends at once, the next one does it."""
    one = service(JOB)
    run = one.start(once("raise Busy"), "20", "--workers", "1", "--retry-delay", "1000")
    wait_for(lambda: one.count() == 20, "all other items")
    began = time.monotonic()
    run.send(signal.SIGTERM)
    assert run.wait(10).code == 143
    report("stopped while an item waits", seconds=time.monotonic() - began)
    assert set(one.outcomes()) == {f"item-{number}" for number in range(20)}
    assert one.run(once("raise Busy"), "20").code == 0
    assert one.result("flaky") == 2


NO_TYPES = [
    ("a type alone", "RETRY = ConnectionError"),
    ("a list", "RETRY = [ConnectionError]"),
    ("a text in it", "RETRY = ('ConnectionError',)"),
    ("an instance in it", "RETRY = (ConnectionError(),)"),
    ("no exception", "RETRY = (int,)"),
    ("nothing", "RETRY = None"),
]


@pytest.mark.parametrize(("what", "code"), NO_TYPES, ids=[row[0] for row in NO_TYPES])
def test_retry_is_no_tuple_of_exception_types(service: Services, what: str, code: str) -> None:
    """It is known in main before anything starts: exit 2, one line, nothing touched."""
    one = service(JOB.replace("RETRY = (ConnectionError, Busy)", code))
    finished = one.run("pass", "3")
    assert (finished.code, finished.stdout, one.results.exists()) == (2, "", False), what
    assert len(finished.stderr.splitlines()) == 1
    assert "RETRY must be a tuple of exception types, such as (ConnectionError,)" in finished.stderr


ENDLESS_JOB = """
    from itertools import count
    from pathlib import Path

    RETRY = (ConnectionError,)

    def items(inputs):
        for number in count():
            if number % 100 == 0:
                Path(inputs[0]).write_text(str(number))
            yield f"item-{number}", number

    def work(payload):
        raise ConnectionError
"""


def test_an_endless_source_of_waiting_items_stays_bounded(
    service: Services, tmp_path: Path
) -> None:
    """Where every item waits, a bounded number of items is read, and a stop is still heeded."""
    read = tmp_path / "read"
    one = service(ENDLESS_JOB)
    run = one.start(str(read), "--workers", "2", "--retry-delay", "1000")
    wait_for(lambda: read.exists() and int(read.read_text() or 0) >= 1_000, "items to be read")
    time.sleep(2)  # in which tens of thousands could be read
    before = int(read.read_text())
    time.sleep(1)
    assert int(read.read_text()) == before < 10_000
    run.send(signal.SIGTERM)
    assert run.wait(10).code == 143
    assert one.count("failed") == 0
