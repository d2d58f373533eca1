"""Outcomes from a worker's answers: of all items but the late, the lost and those tried again."""

from array import array

import pytest

from file_digest.items.in_flight import part_before
from file_digest.items.messages import (
    Report,
    UnpickleFailed,
    whole_task,
)
from file_digest.items.outcomes import Outcomes

REPORT = Report(
    first=10,
    results="1\n\n3",
    started=100.0,
    elapsed=6.0,
    seconds=array("d", [1.0, 2.0, 3.0]),
    errors={1: "no good"},
    retryable=[1],
)


@pytest.mark.parametrize(
    ("late", "results", "elapsed"),
    [
        (9, None, 0.0),
        (10, None, 0.0),
        (whole_task(10), None, 0.0),
        (11, "1", 1.0),
        (12, "1\n", 3.0),
        (13, "1\n\n3", 6.0),
        (whole_task(20), "1\n\n3", 6.0),
    ],
)
def test_a_late_item_has_no_outcome_and_those_before_keep_theirs(
    late: int, results: str | None, elapsed: float
) -> None:
    """Whatever came of it, and of what was done behind it, before its worker was killed."""
    part = part_before(REPORT, late)
    if results is None:
        assert part is None
        return
    assert isinstance(part, Report)
    count = results.count("\n") + 1
    assert (part.results, part.elapsed, list(part.seconds)) == (
        results,
        elapsed,
        [1.0, 2.0, 3.0][:count],
    )
    assert (part.errors, part.retryable) == (({1: "no good"}, [1]) if count > 1 else ({}, []))


@pytest.mark.parametrize(("late", "kept"), [(10, False), (whole_task(10), False), (11, True)])
def test_a_late_task_that_does_not_unpickle_has_no_outcome(late: int, *, kept: bool) -> None:
    """Its worker is killed for the time that it took."""
    failed = UnpickleFailed(10, "no such module")
    assert part_before(failed, late) == (failed if kept else None)


@pytest.mark.parametrize("postponed", [{0}, {1}, {2}, {0, 1}, {0, 1, 2}])
def test_those_beside_an_item_that_is_tried_again_keep_their_outcomes(postponed: set[int]) -> None:
    """Also those behind it."""
    outcomes = Outcomes(
        keys=["a", "b", "c"],
        results=["1", "2", "3"],
        errors=dict.fromkeys(postponed, "not now"),
        attempts=1,
        worker="worker-1",
        started=100.0,
        seconds=[1.0, 1.0, 1.0],
        postponed=frozenset(postponed),
    )
    rest = [at for at in range(3) if at not in postponed]
    assert [row.key for row in outcomes] == ["abc"[at] for at in rest]
    assert [row.started for row in outcomes] == [100.0 + at for at in rest]
    assert len(outcomes) == len(rest)
    assert outcomes.failures == []
