"""Main's clock: histories of readings, replayed."""

import pytest

from file_digest.system.clock import GAP_SECONDS, Clock
from file_digest.system.signals import StopRequest
from file_digest.workers.handle import RestartBackoff


class Hands:
    """A time that a test sets."""

    def __init__(self) -> None:
        """Begin at some time."""
        self.time = 1_000.0

    def __call__(self) -> float:
        """Return it."""
        return self.time


def turned(clock: Clock, hands: Hands, steps: list[float]) -> float:
    """Let so much time go by, step by step; return how much of it the clock counts."""
    began = clock.now()
    for step in steps:
        hands.time += step
        clock.now()
    return clock.now() - began


@pytest.mark.parametrize(
    ("steps", "counted"),
    [
        ([0.1] * 50, 5.0),
        ([GAP_SECONDS] * 3, 3 * GAP_SECONDS),
        ([0.1, 7.0, 0.1], 0.2),
        ([3_600.0], 0.0),
        ([0.1, 7.0, 0.1, 86_400.0, 0.1], 0.3),
    ],
    ids=["a loop that turns", "slow turns", "Ctrl-Z and fg", "suspended", "twice"],
)
def test_a_gap_is_not_counted(steps: list[float], counted: float) -> None:
    """The time between two readings that are far apart does not count."""
    hands = Hands()
    assert turned(Clock(hands), hands, steps) == pytest.approx(counted)


def test_grace_period_is_not_used_up_by_a_gap() -> None:
    """Whoever continues main after a stop request gets the rest of the grace period."""
    hands = Hands()
    stop = StopRequest(10.0, Clock(hands))
    with stop.listening():
        stop.note(15, None)
        assert stop.requested
        stop.begin_grace()
        hands.time += 60.0
        assert not stop.time_is_up
        turned(stop.clock, hands, [1.0] * 9)
        assert not stop.time_is_up
        turned(stop.clock, hands, [1.0])
        assert stop.time_is_up


def test_back_off_is_not_used_up_by_a_gap() -> None:
    """After a failed start and a gap, what was left to wait is still to be waited for."""
    hands = Hands()
    starts = RestartBackoff(Clock(hands))
    starts.failed(hands.time, "no", others_work=False)
    left = starts.wait
    hands.time += 60.0
    assert starts.wait == pytest.approx(left)
