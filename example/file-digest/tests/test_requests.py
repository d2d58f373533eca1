"""Requests to main by signals, and signals that come from a terminal."""

import signal
import sys
import time
from collections.abc import Iterator

import pytest

from file_digest.system import requests as module
from file_digest.system.requests import FLOOD, Requests

pytest.importorskip("fcntl", reason="these signals are those of POSIX")
assert sys.platform != "win32"

MORE, LESS = signal.SIGTTIN, signal.SIGTTOU


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[Requests]:
    """Requests that listen, and that need no quiet time."""
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.0)
    before = {number: signal.getsignal(number) for number in (MORE, LESS, signal.SIGUSR1)}
    made = Requests()
    made.listen()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


SENT = [
    ("none", [], 0),
    ("one more", [MORE], 1),
    ("three less", [LESS] * 3, -3),
    ("as many more as less", [MORE, LESS], 0),
]


@pytest.mark.parametrize(("what", "sent", "change"), SENT, ids=[row[0] for row in SENT])
def test_each_signal_counts_once(
    requests: Requests, what: str, sent: list[int], change: int
) -> None:
    """And is taken once."""
    for number in sent:
        signal.raise_signal(number)
    assert requests.take_resize() == change, what
    assert requests.take_resize() == 0


def test_the_last_one_is_waited_for(requests: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has just come may be the first of many."""
    signal.raise_signal(MORE)
    monkeypatch.setattr(module, "QUIET_SECONDS", 60.0)
    assert requests.take_resize() == 0
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.0)
    assert requests.take_resize() == 1


def test_a_flood_is_given_back_to_the_terminal(requests: Requests) -> None:
    """It counts as nothing; afterwards the signals are requests again."""
    for _ in range(FLOOD):
        signal.raise_signal(MORE)
    assert signal.getsignal(MORE) == signal.SIG_DFL
    assert requests.take_resize() == 0
    assert signal.getsignal(MORE) == requests.note
    signal.raise_signal(MORE)
    assert requests.take_resize() == 1


def test_many_over_a_longer_time_are_no_flood(
    requests: Requests, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They count, up to a bound."""
    clock = iter(range(10 * FLOOD))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    for _ in range(2 * FLOOD):
        signal.raise_signal(LESS)
    assert requests.take_resize() == -FLOOD
    assert signal.getsignal(LESS) == requests.note


def test_stacks_are_asked_for_once(requests: Requests) -> None:
    """However often the signal came before it was seen to."""
    for _ in range(3):
        signal.raise_signal(signal.SIGUSR1)
    assert [requests.take_stacks(), requests.take_stacks()] == [True, False]
