"""Workers that are replaced for their number of items or their memory."""

import json
import re
import signal
from collections import Counter
from collections.abc import Callable

import pytest

from .support.service import Service, report, wait_for

Services = Callable[..., Service]

JOB = """
    import os, time
    from contextlib import contextmanager
    from pathlib import Path

    NOTES = Path(__file__).with_name("notes")
    kept = []

    def note(*words):
        with NOTES.open("a") as file:
            file.write(" ".join(map(str, words)) + "\\n")

    def items(inputs):
        return ((f"item-{number}", inputs[0]) for number in range(int(inputs[1])))

    def work(payload, resource):
        exec(payload)
        return [resource, os.getpid()]

    @contextmanager
    def lifespan(index):
        note("up", index, os.getpid())
        yield index
        note("down", index, os.getpid())
"""
LEAK = "kept.append(b'x' * 20_000_000); time.sleep(0.02)"
BALLOON = "kept.append(b'x' * 1_000_000_000); time.sleep(5)"


def notes(service: Service, what: str) -> list[tuple[int, int]]:
    """Return the place and the process id of each lifespan that began or ended, in order."""
    text = (service.package / "notes").read_text()
    found = re.findall(rf"^{what} (\d+) (\d+)$", text, re.MULTILINE)
    return [(int(place), int(pid)) for place, pid in found]


def done_by(service: Service) -> Counter[int]:
    """Return how many items each process did."""
    return Counter(json.loads(row["result"])[1] for row in service.outcomes().values())


COUNTS = [("slow items", "time.sleep(0.02)", 60, 10), ("tiny items", "pass", 1_200, 300)]


@pytest.mark.parametrize(("what", "code", "count", "after"), COUNTS, ids=[r[0] for r in COUNTS])
def test_no_worker_does_more_items(
    service: Services, what: str, code: str, count: int, after: int
) -> None:
    """A worker is replaced after its items, in its place; each tears down what it set up."""
    one = service(JOB)
    options = ("--workers", "2", "--recycle-after", str(after))
    finished = one.run(code, str(count), *options)
    assert (finished.code, one.count()) == (0, count), finished.stderr
    done = done_by(one)
    assert max(done.values()) <= after
    assert {row["attempts"] for row in one.outcomes().values()} == {1}
    ups, downs = notes(one, "up"), notes(one, "down")
    assert {place for place, _ in ups} == {0, 1}
    assert set(done) <= {pid for _, pid in downs} <= {pid for _, pid in ups}
    assert "is recycled: it has had its number of items" in one.log_text()
    assert " is gone: " not in one.log_text()
    report(f"recycled: {what}", seconds=finished.seconds)


def test_there_is_no_grace_period(service: Services) -> None:
    """Whoever leaves in good order is given a second all the same, and is not killed."""
    one = service(JOB)
    options = ("--workers", "2", "--recycle-after", "3", "--grace", "0")
    finished = one.run("time.sleep(0.01)", "30", *options)
    assert (finished.code, one.count()) == (0, 30), finished.stderr
    assert "is recycled" in one.log_text()
    assert " is gone: " not in one.log_text()
    assert set(done_by(one)) <= {pid for _, pid in notes(one, "down")}


def test_a_leak_is_cured(service: Services) -> None:
    """A worker above its limit is replaced after its item: all are done, at the first attempt."""
    one = service(JOB)
    finished = one.run(LEAK, "60", "--workers", "1", "--worker-memory", "300M")
    outcomes = one.outcomes()
    assert (finished.code, len(outcomes)) == (0, 60), finished.stderr
    assert {row["attempts"] for row in outcomes.values()} == {1}
    assert len(done_by(one)) > 1
    assert re.search(r"is recycled: worker used [\d.]+ MB, the limit is 300 MB", one.log_text())
    assert max(row["peak_memory"] for row in outcomes.values()) < 2 * 300 * 1024**2
    report("a leak is cured", seconds=finished.seconds)


def test_an_item_that_uses_far_too_much(service: Services) -> None:
    """Its worker is killed at twice the limit, it fails after its attempts; no other item cares."""
    one = service(JOB.replace("inputs[0])", 'inputs[0] if number == 7 else "pass")'))
    options = ("--worker-memory", "200M", "--max-attempts", "2", "--workers", "2")
    finished = one.run(BALLOON, "200", *options)
    outcomes = one.outcomes()
    bad = outcomes.pop("item-7")
    assert (finished.code, bad["status"], bad["attempts"]) == (1, "failed", 2), finished.stderr
    assert re.fullmatch(r"worker used [\d.]+ [MG]B, the limit is 200 MB", bad["error"])
    assert bad["peak_memory"] > 2 * 200 * 1024**2
    assert [row["status"] for row in outcomes.values()] == ["done"] * 199
    report("an item uses far too much", seconds=finished.seconds)


def test_the_first_item_uses_far_too_much(service: Services) -> None:
    """Of a worker that has done nothing yet, too: the only item, at each of its attempts."""
    one = service(JOB)
    options = ("--worker-memory", "200M", "--max-attempts", "2", "--workers", "1")
    finished = one.run(BALLOON, "1", *options)
    (bad,) = one.outcomes().values()
    assert (finished.code, bad["status"], bad["attempts"]) == (1, "failed", 2), finished.stderr
    assert re.fullmatch(r"worker used [\d.]+ [MG]B, the limit is 200 MB", bad["error"])


def test_the_journal_has_the_peak(service: Services) -> None:
    """Without any limit, too: what an item's worker had used by its end, as the system counts."""
    one = service(JOB.replace("inputs[0])", 'inputs[0] if number == 5 else "pass")'))
    assert one.run("b'x' * 300_000_000", "10", "--workers", "1").code == 0
    peaks = [one.outcomes()[f"item-{number}"]["peak_memory"] for number in range(10)]
    assert all(0 < peak < 200_000_000 for peak in peaks[:1])
    assert all(300_000_000 < peak < 600_000_000 for peak in peaks[6:])


def test_stopped_while_workers_are_recycled(service: Services) -> None:
    """SIGTERM in the midst of it: as ever, and nobody is left."""
    one = service(JOB)
    run = one.start("time.sleep(0.02)", "100000", "--workers", "2", "--recycle-after", "3")
    wait_for(lambda: "is recycled" in one.log_text(), "a recycled worker")
    run.send(signal.SIGTERM)
    finished = run.wait(15)
    assert finished.code == 143
    assert run.wait_until_gone(2) < 2
    downs = {pid for _, pid in notes(one, "down")}
    assert set(done_by(one)) <= downs


def test_a_successor_that_cannot_start_beside_it_starts_after_it(service: Services) -> None:
    """A place with something that only one can have: the worker leaves first, and no item cares."""
    only_one = "lock = NOTES.with_name(f'lock-{index}'); lock.touch(exist_ok=False)"
    both = f"{only_one}\n        yield index\n        lock.unlink()"
    one = service(JOB.replace("yield index", both))
    finished = one.run("time.sleep(0.02)", "40", "--workers", "2", "--recycle-after", "10")
    assert (finished.code, one.count()) == (0, 40), finished.stderr
    assert max(done_by(one).values()) <= 10
    assert len(done_by(one)) >= 4


BAD_SIZES = ["0", "-1", "5X", "much", ""]


@pytest.mark.parametrize("size", BAD_SIZES)
def test_a_size_that_is_none_is_refused(service: Services, size: str) -> None:
    """Exit 2, one line that says what is allowed."""
    finished = service(JOB).run("pass", "1", f"--worker-memory={size}")
    assert finished.code == 2
    assert "give a number of bytes above 0, such as 500M or 1.5G" in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
