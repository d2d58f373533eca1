"""Inside a worker: one task, two threads that share it, and odd work."""

import json
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from file_digest.items.messages import (
    IDLE,
    Report,
    Task,
    whole_task,
)
from file_digest.items.task_runner import TaskRunner
from file_digest.system.errors import describe


def runner_for(work: Callable[[Any], Any], payloads: list[Any], first: int = 0) -> TaskRunner:
    """Return a runner with a task laid out."""
    runner = TaskRunner(work, [IDLE], 0)
    runner.unpack(Task(first, pickle.dumps(payloads), len(payloads)))
    return runner


def test_items_are_done_in_order() -> None:
    """The slot names each item while it is done, and the whole task before and after."""
    seen: list[int] = []

    def work(payload: int) -> int:
        seen.append(runner.slot[0])
        return payload * 2

    runner = runner_for(work, [1, 2, 3], first=10)
    assert runner.slot[0] == whole_task(10)
    runner.run()
    assert (seen, runner.slot[0]) == ([10, 11, 12], whole_task(10))
    report = runner.report()
    assert report is not None
    assert (report.first, report.results, report.errors) == (10, "2\n4\n6", {})
    assert runner.report() is None


@pytest.mark.parametrize(
    "error", [ValueError("no"), MemoryError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
)
def test_what_work_raises_is_its_items_error(error: BaseException) -> None:
    """An exception of any kind fails its item; the others are done."""

    def work(payload: int) -> int:
        if payload == 1:
            raise error
        return payload

    runner = runner_for(work, [0, 1, 2])
    runner.run()
    report = runner.report()
    assert report is not None
    assert report.results == "0\n\n2"
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

    runner = runner_for(work, [0, 1, 2, 3], first=5)
    worker = threading.Thread(target=runner.run)
    worker.start()
    assert begun.wait(10)
    assert runner.release() == range(7, 9)
    assert not runner.release()
    early = runner.report()
    go_on.set()
    worker.join(10)
    late = runner.report()
    assert early is not None
    assert late is not None
    assert (early.first, early.results) == (5, "0")
    assert (late.first, late.results) == (6, "1")


def test_revoked_items_are_not_begun() -> None:
    """Items that main revokes while one is at hand are left, and can be given back."""
    revoked = [0]

    def work(payload: int) -> int:
        revoked[0] = 100 if payload == 1 else 0
        return payload

    runner = TaskRunner(work, [IDLE], 0, revoked)
    runner.unpack(Task(5, pickle.dumps([0, 1, 2, 3]), 4))
    runner.run()
    report = runner.report()
    assert report is not None
    assert report.results == "0\n1"
    assert runner.release() == range(7, 9)
    runner.unpack(Task(100, pickle.dumps([4]), 1))
    runner.run()
    report = runner.report()
    assert report is not None
    assert (report.first, report.results) == (100, "4")


def test_each_item_is_done_or_given_back() -> None:
    """With a thread that gives back at random moments no item is both, and none is neither."""
    for _ in range(50):
        done: list[int] = []
        runner = runner_for(done.append, list(range(2_000)))
        reports: list[Report | None] = []
        given: list[range] = []

        thread = threading.Thread(target=_control, args=(runner, given, reports))
        thread.start()
        runner.run()
        thread.join(10)
        reports.append(runner.report())
        assert done == list(range(given[0].start))
        assert given[0].stop == 2_000
        parts = sorted((r.first, len(r.seconds)) for r in reports if r)
        assert sum(count for _, count in parts) == len(done)
        assert not parts or parts[0][0] == 0


def _control(runner: TaskRunner, given: list[range], reports: list[Report | None]) -> None:
    given.append(runner.release())
    reports.append(runner.report())


@pytest.mark.parametrize(
    "value", [0, -(10**30), True, None, 1.5, "é\ud800", [1, {"a": None}], (1, 2)]
)
def test_a_result_is_what_json_writes(value: object) -> None:
    """The short cut for integers makes no difference."""
    runner = runner_for(lambda payload: payload, [value])
    runner.run()
    report = runner.report()
    assert report is not None
    assert report.results == json.dumps(value)


def test_the_tiniest_items_share_a_reading_of_the_clock() -> None:
    """Slow items are timed one by one, the tiniest many at a time; all times add up."""
    runner = runner_for(time.sleep, [0.0] * 5_000 + [0.01] * 2)
    runner.run()
    report = runner.report()
    assert report is not None
    assert len(report.seconds) == 5_002
    assert len(set(report.seconds)) < 5_000, "fewer readings than items, however busy the machine"
    assert max(report.seconds) >= 0.01
    assert sum(report.seconds) == pytest.approx(report.elapsed)


def test_time_of_an_item_behind_which_all_is_revoked() -> None:
    """The item at hand when main revokes the rest keeps its own time, however quick the others."""
    revoked = [0]

    def work(payload: float) -> None:
        time.sleep(payload)
        revoked[0] = 10_000 if payload else 0

    runner = TaskRunner(work, [IDLE], 0, revoked)
    runner.unpack(Task(0, pickle.dumps([0.0] * 3_000 + [0.05, 0.0]), 3_002))
    runner.run()
    report = runner.report()
    assert report is not None
    assert len(report.seconds) == 3_001
    assert report.elapsed >= 0.05
    assert sum(report.seconds) == pytest.approx(report.elapsed)


def test_what_is_done_of_a_stride_is_reported_before_its_end() -> None:
    """An item that is slow among the tiniest does not keep their results back."""
    begun, go_on = threading.Event(), threading.Event()

    def work(payload: int) -> int:
        if payload == 3_000:
            begun.set()
            go_on.wait(10)
        return payload

    runner = runner_for(work, list(range(3_010)))
    worker = threading.Thread(target=runner.run)
    worker.start()
    assert begun.wait(10)
    early = runner.report()
    go_on.set()
    worker.join(10)
    late = runner.report()
    assert early is not None
    assert late is not None
    assert (early.first, len(early.seconds), late.first, len(late.seconds)) == (0, 3_000, 3_000, 10)
    assert early.elapsed + late.elapsed == pytest.approx(runner.clock - runner.start)


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
