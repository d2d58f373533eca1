"""What happens inside a worker: one task, two threads that share it, and odd work."""

import json
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from file_digest.messages import Report, Task
from file_digest.worker import (
    IDLE,
    Bench,
    describe,
    to_json,
    whole_task,
)


def bench_for(work: Callable[[Any], Any], payloads: list[Any], first: int = 0) -> Bench:
    """Return a bench with a task laid out."""
    bench = Bench(work, [IDLE], 0)
    bench.unpack(Task(first, pickle.dumps(payloads), len(payloads)))
    return bench


def test_items_are_done_in_order() -> None:
    """The slot names each item while it is done, and the whole task before and after."""
    seen: list[int] = []

    def work(payload: int) -> int:
        seen.append(bench.slot[0])
        return payload * 2

    bench = bench_for(work, [1, 2, 3], first=10)
    assert bench.slot[0] == whole_task(10)
    bench.do()
    assert (seen, bench.slot[0]) == ([10, 11, 12], whole_task(10))
    report = bench.report()
    assert report is not None
    assert (report.first, report.results, report.errors) == (10, ["2", "4", "6"], {})
    assert bench.report() is None


@pytest.mark.parametrize(
    "error", [ValueError("no"), MemoryError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)
def test_what_work_raises_is_its_items_error(error: BaseException) -> None:
    """An exception of any kind fails its item; the others are done."""

    def work(payload: int) -> int:
        if payload == 1:
            raise error
        return payload

    bench = bench_for(work, [0, 1, 2])
    bench.do()
    report = bench.report()
    assert report is not None
    assert report.results == ["0", None, "2"]
    assert list(report.errors) == [1]
    assert type(error).__name__ in report.errors[1]


def test_slow_item_gives_back_the_rest_and_reports_what_is_done() -> None:
    """While an item is at hand, the results before it can be sent, and those behind it go back."""
    begun, go_on = threading.Event(), threading.Event()

    def work(payload: int) -> int:
        if payload == 1:
            begun.set()
            go_on.wait(10)
        return payload

    bench = bench_for(work, [0, 1, 2, 3], first=5)
    worker = threading.Thread(target=bench.do)
    worker.start()
    assert begun.wait(10)
    assert bench.give_back() == range(7, 9)
    assert not bench.give_back()
    early = bench.report()
    go_on.set()
    worker.join(10)
    late = bench.report()
    assert early is not None
    assert late is not None
    assert (early.first, early.results) == (5, ["0"])
    assert (late.first, late.results) == (6, ["1"])


def test_revoked_items_are_not_begun() -> None:
    """Items that main revokes while one is at hand are left, and can be given back."""
    revoked = [0]

    def work(payload: int) -> int:
        revoked[0] = 100 if payload == 1 else 0
        return payload

    bench = Bench(work, [IDLE], 0, revoked)
    bench.unpack(Task(5, pickle.dumps([0, 1, 2, 3]), 4))
    bench.do()
    report = bench.report()
    assert report is not None
    assert report.results == ["0", "1"]
    assert bench.give_back() == range(7, 9)
    bench.unpack(Task(100, pickle.dumps([4]), 1))
    bench.do()
    report = bench.report()
    assert report is not None
    assert (report.first, report.results) == (100, ["4"])


def test_each_item_is_done_or_given_back() -> None:
    """With a thread that gives back at random moments no item is both, and none is neither."""
    for _ in range(50):
        done: list[int] = []
        bench = bench_for(done.append, list(range(2_000)))
        reports: list[Report | None] = []
        given: list[range] = []

        thread = threading.Thread(target=_control, args=(bench, given, reports))
        thread.start()
        bench.do()
        thread.join(10)
        reports.append(bench.report())
        assert done == list(range(given[0].start))
        assert given[0].stop == 2_000
        parts = sorted((r.first, len(r.results)) for r in reports if r)
        assert sum(count for _, count in parts) == len(done)
        assert not parts or parts[0][0] == 0


def _control(bench: Bench, given: list[range], reports: list[Report | None]) -> None:
    given.append(bench.give_back())
    reports.append(bench.report())


@pytest.mark.parametrize(
    "value", [0, -(10**30), True, None, 1.5, "é\ud800", [1, {"a": None}], (1, 2)]
)
def test_to_json_is_what_json_writes(value: object) -> None:
    """The short cut for integers makes no difference."""
    assert to_json(value) == json.dumps(value)


class SelfishError(Exception):
    """One whose text cannot be made, in the worst way."""

    def __str__(self) -> str:
        """Leave."""
        raise SystemExit("no")


def test_describe_shows_what_can_be_shown() -> None:
    """The traceback, without our own frame, with causes; or at least the type's name."""
    error = OSError("outer")
    error.__cause__ = KeyError("inner")
    text = describe(error)
    assert text.endswith("OSError: outer")
    assert "KeyError: 'inner'" in text
    assert "SelfishError" in describe(SelfishError())
