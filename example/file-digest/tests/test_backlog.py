"""The policy of trying again: histories of batches, reports and deaths, without any process."""

import pickle
import threading
from array import array
from collections.abc import Iterable
from itertools import chain, count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from file_digest.items.backlog import SKIP_AHEAD, Backlog
from file_digest.items.batch import Batch, WorkerDeath
from file_digest.items.batch_size import (
    BATCH_BYTES,
    BatchSizer,
)
from file_digest.items.messages import (
    IDLE,
    Item,
    Outcome,
    Report,
    Task,
    whole_task,
)
from file_digest.items.outcomes import Outcomes
from file_digest.items.source import READ_AHEAD, Source

from .support.service import wait_for

KILLED = WorkerDeath("worker-1", "worker died: SIGKILL", 0.5)


def backlog_of(pairs: Iterable[Item], max_attempts: int = 3, size: int = 1) -> Backlog:
    """Return a backlog that has read everything and makes batches of ``size``."""
    source = Source(lambda: pairs, lambda: None)
    source.ahead = 1_000_000
    source.start()
    source.read()
    source.thread.join(10)
    backlog = Backlog(source, lambda pairs: pairs, max_attempts)
    backlog.sizer.size = size
    return backlog


def numbered(count: int) -> list[Item]:
    """Return pairs like ("2", 2)."""
    return [(str(number), number) for number in range(count)]


def take(backlog: Backlog) -> tuple[Batch, Task]:
    """Return the next batch, of which there must be one."""
    work = backlog.next_batch()
    assert work is not None
    return work


def report_on(first: int, count: int, **errors: Any) -> Report:
    """Return the report on ``count`` items that took a second each."""
    results = "\n".join(str(number) for number in range(first, first + count))
    return Report(first, results, 100.0, float(count), array("d", [1.0] * count), **errors)


def keys(outcomes: Iterable[Outcomes]) -> list[str]:
    """Return whose outcomes these are."""
    return [outcome.key for outcome in chain.from_iterable(outcomes)]


def test_what_is_done_already_is_asked_for_many_at_a_time() -> None:
    """A rerun reads further ahead while all that comes is done, and no further once some is not."""
    asked: list[int] = []

    def admit(pairs: list[Item]) -> list[Item]:
        asked.append(len(pairs))
        return [pair for pair in pairs if pair[1] >= 50_000]

    source = Source(lambda: ((str(n), n) for n in count()), lambda: None)
    backlog = Backlog(source, admit, 1)

    def filled() -> bool:
        backlog.fill()
        return backlog.has_some

    source.start()
    source.read()
    wait_for(filled, "the first item that is not done")
    backlog.pending.clear()
    assert (max(asked), backlog.skip_ahead) == (SKIP_AHEAD, 0)
    assert len(asked) < 1_000
    backlog.fill()
    assert source.ahead == READ_AHEAD
    source.stop()


def test_report_becomes_outcomes() -> None:
    """A report on part of a batch settles its next items; errors explain the missing results."""
    backlog = backlog_of(numbered(3), size=3)
    batch, task = take(backlog)
    assert pickle.loads(task.blob) == [0, 1, 2]
    assert list(backlog.completed(batch, report_on(0, 1), "worker-1")) == [
        Outcome("0", "done", "0", None, 1, "worker-1", 100.0, 1.0)
    ]
    failed = Report(1, "\n2", 101.0, 3.0, array("d", [1.0, 2.0]), {0: "ValueError"})
    outcomes = backlog.completed(batch, failed, "worker-1")
    assert list(outcomes) == [
        Outcome("1", "failed", None, "ValueError", 1, "worker-1", 101.0, 1.0),
        Outcome("2", "done", "2", None, 1, "worker-1", 102.0, 2.0),
    ]
    assert [outcome.key for outcome in outcomes.failures] == ["1"]
    assert (batch.open, backlog.exhausted) == ([], True)


@pytest.mark.parametrize(
    ("reported", "held", "again", "alone"),
    [
        (0, 0, ["1", "2", "3"], ["0"]),
        (0, 2, ["0", "1", "3"], ["2"]),
        (2, 2, ["3"], ["2"]),
        (0, IDLE, ["0", "1", "2", "3"], []),
        (0, 77, ["0", "1", "2", "3"], []),
        (2, 1, ["2", "3"], []),
    ],
    ids=["the first", "in the middle", "after a report", "none", "another batch", "a reported one"],
)
def test_only_the_held_item_is_blamed(
    reported: int, held: int, again: list[str], alone: list[str]
) -> None:
    """Of what a dead worker had, the held item counts an attempt; the rest goes back untouched."""
    backlog = backlog_of(numbered(4), size=4)
    batch, _ = take(backlog)
    if reported:
        backlog.completed(batch, report_on(0, reported), "worker-1")
    assert backlog.lost(batch, held, KILLED) == []
    assert [(key, attempts) for (key, _), attempts in backlog.isolated] == [
        (key, 1) for key in alone
    ]
    assert [key for key, _ in backlog.pending] == again


def test_death_with_the_whole_task_suspects_each_alone() -> None:
    """A death while unpacking fails no item; each goes alone then, so a second one has its item."""
    backlog = backlog_of(numbered(3), max_attempts=1, size=3)
    batch, task = take(backlog)
    assert backlog.lost(batch, whole_task(task.first), KILLED) == []
    for number in range(3):
        batch, task = take(backlog)
        assert [key for key, _ in batch.pairs] == [str(number)]
        if number == 1:
            (outcomes,) = backlog.lost(batch, whole_task(task.first), KILLED)
            assert [(o.key, o.error) for o in outcomes] == [("1", KILLED.reason)]
        else:
            assert keys([backlog.completed(batch, report_on(task.first, 1), "w")]) == [str(number)]
    assert backlog.exhausted


@pytest.mark.parametrize("max_attempts", [1, 2, 5])
def test_item_fails_after_max_attempts(max_attempts: int) -> None:
    """An item is handed out max_attempts times if its worker dies each time."""
    backlog = backlog_of(numbered(1), max_attempts)
    outcomes: list[Outcomes] = []
    tries = 0
    while not backlog.exhausted:
        batch, _ = take(backlog)
        tries += 1
        outcomes += backlog.lost(batch, batch.first, KILLED)
    assert tries == max_attempts
    assert [(o.key, o.status, o.attempts, o.seconds) for o in chain.from_iterable(outcomes)] == [
        ("0", "failed", max_attempts, 0.5)
    ]


def test_given_back_items_keep_their_attempts() -> None:
    """An item that was tried before and is given back goes alone again, its attempts kept."""
    backlog = backlog_of(numbered(1), max_attempts=2)
    batch, _ = take(backlog)
    backlog.lost(batch, batch.first, KILLED)
    batch, _ = take(backlog)
    backlog.release(batch, range(batch.first, batch.first + 1))
    assert batch.open == []
    batch, _ = take(backlog)
    assert [o.attempts for o in backlog.lost(batch, batch.first, KILLED)] == [2]


def test_items_are_given_back_once() -> None:
    """Items that main took back by itself, and the worker then releases too, are done once."""
    backlog = backlog_of(numbered(4), size=4)
    batch, _ = take(backlog)
    backlog.release(batch, range(2, 4))
    backlog.release(batch, range(3, 4))
    backlog.release(batch, range(1, 4))
    assert [key for key, _ in batch.open] == ["0"]
    assert [key for key, _ in backlog.pending] == ["2", "3", "1"]


def test_stopped_backlog_hands_out_nothing() -> None:
    """After stop there is nothing to do, whatever is given back."""
    backlog = backlog_of(numbered(4), size=2)
    batch, _ = take(backlog)
    backlog.stop()
    backlog.release(batch, range(1, 2))
    assert backlog.next_batch() is None
    assert backlog.exhausted


def test_payload_that_does_not_pickle_fails_alone() -> None:
    """Its neighbours are sent one by one; the item itself fails without being sent."""
    pairs: list[Item] = [("a", 0), ("bad", threading.Lock()), ("b", 1)]
    backlog = backlog_of(pairs, size=3)
    sent = []
    while work := backlog.next_batch():
        sent.append(work[0].pairs)
    assert sent == [[("a", 0)], [("b", 1)]]
    assert keys(backlog.take_failed()) == ["bad"]


class Workers:
    """Pretends to be workers; hypothesis says what happens to each batch."""

    def __init__(self, backlog: Backlog) -> None:
        """Take batches from ``backlog``."""
        self.backlog = backlog
        self.outcomes: list[Outcomes] = []

    def do(self, event: str, at: int) -> None:
        """Apply ``event`` to the next batch, at its item ``at``."""
        if not (work := self.backlog.next_batch()):
            return
        batch, task = work
        at %= task.count
        if event == "give back":
            done = report_on(task.first, at)
            self.backlog.release(batch, range(task.first + at, task.first + task.count))
            self.outcomes += [self.backlog.completed(batch, done, "w")] if at else []
        elif event == "die":
            self.outcomes += self.backlog.lost(batch, task.first + at, KILLED)
        elif event == "die whole":
            self.outcomes += self.backlog.lost(batch, whole_task(task.first), KILLED)
        elif event == "unreadable":
            self.outcomes += self.backlog.unpickle_failed(batch, "no", "w")
        else:
            done = report_on(task.first, task.count)
            self.outcomes.append(self.backlog.completed(batch, done, "w"))


EVENTS = st.sampled_from(["done", "die", "die whole", "give back", "unreadable"])


@given(st.integers(0, 40), st.lists(st.tuples(EVENTS, st.integers(0, 99)), max_size=60))
def test_every_item_has_exactly_one_outcome(count: int, events: list[tuple[str, int]]) -> None:
    """Whatever happens to batches, in whatever order, no item is lost and none comes out twice."""
    backlog = backlog_of(numbered(count), size=8)
    workers = Workers(backlog)
    for event, at in events:
        workers.do(event, at)
    while not backlog.exhausted:
        workers.do("done", 0)
    assert sorted(keys(workers.outcomes), key=int) == [str(number) for number in range(count)]
    assert all(1 <= outcomes.attempts <= 3 for outcomes in workers.outcomes)


def test_sizer_makes_batches_of_some_milliseconds() -> None:
    """Quick items travel together, slow ones alone, and one slow item suffices to slow down."""
    sizer = BatchSizer()
    for _ in range(30):
        sizer.observe(sizer.size, sizer.size * 1e-5, sizer.size)
    assert sizer.quick
    assert 1_000 < sizer.size <= 2_000
    sizer.observe(1, 1.0, 1)
    assert (sizer.size, sizer.quick) == (1, False)


def test_sizer_bounds_bytes() -> None:
    """Items that are quick but large do not travel in batches of gigabytes."""
    sizer = BatchSizer()
    sizer.size = 10_000
    sizer.limit_bytes(10, 10 * BATCH_BYTES)
    assert sizer.size == 1


def test_backlog_skips_what_is_finished_without_stopping_main() -> None:
    """Long stretches of finished items are skipped in several turns; main is woken for the next."""
    woken: list[bool] = []
    source = Source(lambda: numbered(500), lambda: woken.append(True))
    backlog = Backlog(source, lambda pairs: [p for p in pairs if p[1] == 499], 3)
    source.start()
    source.read()

    def has_some() -> bool:
        backlog.fill()
        return backlog.has_some

    wait_for(has_some, "the one item that is left")
    batch, _ = take(backlog)
    assert batch.pairs == [("499", 499)]
    assert woken
