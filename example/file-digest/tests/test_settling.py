"""The journal knows what ``settled`` has yet to take, and a bounded part of that is in memory."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from file_digest.items.messages import DONE, FAILED, Outcome
from file_digest.results import settling
from file_digest.results.database import open_to_read
from file_digest.results.journal import Journal
from file_digest.results.keys import original_key, stored_key
from file_digest.results.reading import count_unsettled
from file_digest.results.settling import Settler
from file_digest.system.clock import MOST_BACK_OFF, back_off
from file_digest.system.signals import StopRequest

from .support import old_journals
from .support.service import wait_for


class Taker:
    """A ``settled`` that can be held up."""

    def __init__(self) -> None:
        """Take at once."""
        self.calls: list[Sequence[Outcome]] = []
        self.free = threading.Event()
        self.free.set()

    def __call__(self, outcomes: Sequence[Outcome]) -> None:
        """Take outcomes."""
        self.free.wait(60)
        self.calls.append(outcomes)

    @property
    def keys(self) -> list[str]:
        """The keys that were taken."""
        return [outcome.key for call in self.calls for outcome in call]


@contextmanager
def settler_of(path: Path, call: Taker | None, *, retry: bool = False) -> Iterator[Settler]:
    """Open a journal, and a settler of it."""
    stop = StopRequest(60.0)
    with (
        stop.listening(),
        Journal(path, retry_failed=retry) as journal,
        Settler(call, journal, stop) as settler,
    ):
        yield settler


def outcome(key: str, result: str = "1") -> Outcome:
    """Return an outcome."""
    return Outcome(key, DONE, result, None, 1, "worker-1", 1.5, 0.25)


def record(settler: Settler, *outcomes: Outcome) -> None:
    """Commit outcomes."""
    settler.journal.record(outcomes)
    settler.journal.commit()


def unsettled(path: Path) -> int:
    """Return what a reader counts."""
    database = open_to_read(path)
    try:
        return count_unsettled(database)
    finally:
        database.close()


@given(st.text(st.characters() | st.sampled_from("\\ud0\udcff")))
@example("\\ud\udcff\\\\udcff")
def test_a_key_comes_back_as_the_job_has_it(key: str) -> None:
    """Also one of odd bytes, and one that spells their escapes."""
    assert original_key(stored_key(key)) == key


def test_a_value_is_what_work_returned() -> None:
    """Of a failed item it is None."""
    assert outcome("a", '{"n": [1, null]}').value == {"n": [1, None]}
    assert outcome("a")._replace(result=None).value is None


def test_nothing_is_settled_before_it_is_committed(tmp_path: Path) -> None:
    """From then on it counts as unsettled until the call has returned."""
    path, taker = tmp_path / "results.db", Taker()
    with settler_of(path, taker) as settler:
        settler.journal.record([outcome("a"), outcome("\udcff")])
        assert (settler.look(), taker.calls) == (0, [])
        taker.free.clear()
        settler.journal.commit()
        assert (settler.look(), unsettled(path)) == (2, 2)
        taker.free.set()
        wait_for(lambda: settler.look() == 0, "all to be settled")
        assert (taker.keys, unsettled(path)) == (["a", "\udcff"], 0)


def test_a_call_gets_a_bounded_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of rows, and of characters in them; what is left is in the journal alone."""
    path, taker = tmp_path / "results.db", Taker()
    with settler_of(path, taker) as settler:
        record(settler, *(outcome(str(number)) for number in range(2_500)))
        wait_for(lambda: settler.look() == 0, "all to be settled")
        monkeypatch.setattr(settling, "MOST_CHARACTERS", 1_000)
        record(settler, *(outcome(f"long {number}", "1" * 400) for number in range(6)))
        wait_for(lambda: settler.look() == 0, "the long ones to be settled")
    assert [len(call) for call in taker.calls] == [1_000, 1_000, 500, 3, 3]


def test_a_slow_call_leaves_the_rest_to_the_next_run(tmp_path: Path) -> None:
    """The journal's unsettled outcomes come first then, in its order."""
    path, taker, later = tmp_path / "results.db", Taker(), Taker()
    taker.free.clear()
    with settler_of(path, taker) as settler:
        record(settler, outcome("a"), outcome("b"))
        settler.look()
        record(settler, outcome("c"))
    taker.free.set()
    with settler_of(path, None) as settler:
        record(settler, outcome("without"))
        assert (settler.look(), list(settler.drain())) == (0, [])
    assert unsettled(path) == 3
    with settler_of(path, later) as settler:
        record(settler, outcome("d"))
        assert settler.unsettled == 4
        list(settler.drain())
    assert (later.keys, unsettled(path)) == (["a", "b", "c", "d"], 0)


def test_an_outcome_that_is_replaced_is_settled_as_what_it_is_now(tmp_path: Path) -> None:
    """It failed, nobody was told, and it was tried again."""
    path, slow, taker = tmp_path / "results.db", Taker(), Taker()
    slow.free.clear()
    with settler_of(path, slow) as settler:
        record(settler, outcome("a")._replace(status=FAILED, result=None, error="no"))
    slow.free.set()
    with settler_of(path, taker, retry=True) as settler:
        assert [key for key, _ in settler.journal.admit([("a", 0)])] == ["a"]
        record(settler, outcome("a"))
        list(settler.drain())
    assert [(one.key, one.status) for call in taker.calls for one in call] == [("a", DONE)]
    assert unsettled(path) == 0


@pytest.mark.parametrize("leave", [old_journals.finished, old_journals.killed])
def test_what_an_older_version_recorded_counts_as_settled(
    tmp_path: Path, leave: Callable[[Path], None]
) -> None:
    """Whoever only reads it counts none, and a run with ``settled`` tells of none."""
    path, taker = tmp_path / "results.db", Taker()
    leave(path)
    assert unsettled(path) == 0
    with settler_of(path, taker) as settler:
        record(settler, outcome("new"))
        list(settler.drain())
    assert taker.keys == ["new"]


def test_the_back_off_is_bounded() -> None:
    """It doubles up to a minute, less up to a half by chance, however often."""
    for failures, most in ((0, 1.0), (1, 2.0), (3, 8.0), (6, MOST_BACK_OFF), (9999, MOST_BACK_OFF)):
        assert most / 2 <= back_off(failures) <= most
