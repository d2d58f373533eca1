"""Reading of items: in one thread, a bounded number ahead, each as it was when it was yielded."""

import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from file_digest.items.messages import Item
from file_digest.items.payloads import frozen
from file_digest.items.source import READ_AHEAD, Source

from .support.service import wait_for


def test_source_reads_a_bounded_number_ahead() -> None:
    """An endless source is read only as far ahead as asked."""
    read: list[int] = []

    def endless() -> Iterator[Item]:
        while True:
            read.append(len(read))
            yield str(len(read)), None

    source = Source(endless, lambda: None)
    source.start()
    source.read()
    for _ in range(3):
        wait_for(lambda: len(source.ready) == READ_AHEAD, "the source to be full")
        assert len(source.take()) == READ_AHEAD
    assert len(read) <= 4 * READ_AHEAD + 1
    source.stop()
    source.thread.join(10)
    assert not source.thread.is_alive()


def test_source_wakes_a_hungry_main() -> None:
    """A main that found nothing is woken by the next item, at once."""
    gate, woken = threading.Event(), threading.Event()

    def late() -> Iterator[Item]:
        gate.wait(10)
        yield "late", None

    source = Source(late, woken.set)
    source.start()
    source.read()
    assert source.take() == []
    gate.set()
    assert woken.wait(10)
    source.thread.join(10)
    assert (source.take(), source.exhausted) == ([("late", None)], True)


REUSED: list[tuple[Any, Callable[[Any, int], None], Callable[[Any], int]]] = [
    ({}, lambda row, n: row.update(n=n), lambda row: row["n"]),
    ([0], lambda row, n: row.__setitem__(0, n), lambda row: row[0]),
    (bytearray(1), lambda row, n: row.__setitem__(0, n), lambda row: row[0]),
    (SimpleNamespace(), lambda row, n: setattr(row, "n", n), lambda row: row.n),
    ((0, [0]), lambda row, n: row[1].__setitem__(0, n), lambda row: row[1][0]),
]


@pytest.mark.parametrize(
    ("row", "fill", "read"), REUSED, ids=["dict", "list", "bytearray", "object", "list in a tuple"]
)
@pytest.mark.parametrize("bulk", [False, True], ids=["one by one", "in bulk"])
def test_a_payload_is_taken_as_it_was_yielded(
    row: Any,
    fill: Callable[[Any, int], None],
    read: Callable[[Any], int],
    *,
    bulk: bool,
) -> None:
    """One object that is filled anew for each item makes as many payloads, and so does its pair."""
    pair = ["", row]

    def reusing() -> Iterator[Any]:
        for number in range(200):
            fill(row, number)
            pair[0] = str(number)
            yield pair

    source = Source(reusing, lambda: None)
    source.ahead, source.hungry = 1_000_000, not bulk
    source.start()
    source.read()
    source.thread.join(10)
    pairs = pickle.loads(pickle.dumps(source.take()))
    assert [(key, read(payload)) for key, payload in pairs] == [(str(n), n) for n in range(200)]


@pytest.mark.parametrize(
    "payload", [1, "a", b"a", 1.5, True, None, Path("a"), (1, "a", None), ()], ids=repr
)
def test_what_cannot_change_waits_as_it_is(payload: Any) -> None:
    """Numbers, texts, paths and flat tuples of them are not pickled when they are read."""
    assert frozen(("key", payload))[1] is payload


def test_items_are_called_and_read_in_one_thread() -> None:
    """The call, the reading and the end of a generator are in the source's thread."""
    seen: list[str] = []

    class Items:
        def __iter__(self) -> Iterator[Item]:
            seen.append(threading.current_thread().name)
            try:
                while True:
                    seen.append(threading.current_thread().name)
                    yield "key", 0
            finally:
                seen.append(threading.current_thread().name)

    def call() -> Items:
        seen.append(threading.current_thread().name)
        return Items()

    source = Source(call, lambda: None)
    source.start()
    source.read()
    wait_for(lambda: source.ready, "an item")
    source.close()
    source.thread.join(10)
    assert len(seen) > 3
    assert set(seen) == {"source"}


def test_nothing_is_read_before_it_is_wanted() -> None:
    """The call may refuse the inputs; until main has its files nothing is taken from a queue."""
    read: list[int] = []
    source = Source(lambda: map(read.append, range(9)), lambda: None)  # type: ignore[arg-type]
    source.start()
    wait_for(lambda: source.called, "the call")
    source.close()
    source.thread.join(10)
    assert read == []


def test_a_generator_is_read_to_its_first_item() -> None:
    """Its code begins only then, and may refuse the inputs; of the rest nothing is read."""
    read: list[int] = []

    def generating() -> Iterator[Item]:
        for number in range(9):
            read.append(number)
            yield str(number), number

    source = Source(generating, lambda: None)
    source.start()
    wait_for(lambda: source.begun, "the first item")
    assert (read, source.take()) == ([0], [])
    source.read()
    source.thread.join(10)
    assert [payload for _, payload in source.take()] == list(range(9))


@pytest.mark.parametrize(
    "odd",
    ["key", "ab", ("key",), ("key", 1, 2), (1, "payload"), (b"key", 1), None, {"key": 1, "b": 2}],
    ids=repr,
)
def test_source_refuses_what_is_no_pair(odd: Any) -> None:
    """Items must be pairs of a str and a payload; otherwise the source ends with the reason."""
    source = Source(lambda: [("fine", 0), odd], lambda: None)
    source.start()
    source.read()
    source.thread.join(10)
    assert source.take() == [("fine", 0)]
    assert "must yield (str key, payload)" in str(source.error)
