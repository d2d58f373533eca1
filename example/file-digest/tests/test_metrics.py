"""The metrics of a run for Prometheus."""

import random
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from file_digest import PACKAGE
from file_digest.cli import app, checks
from file_digest.items.backlog import Backlog
from file_digest.items.events import DIED, WorkerNow
from file_digest.items.outcomes import NO_OUTCOMES, Outcomes
from file_digest.items.source import Source
from file_digest.results.live import Live
from file_digest.results.metrics import (
    BOUNDS,
    Metrics,
    SecondsHistogram,
)

Samples = dict[str, float]


def read(path: Path) -> Samples:
    """Return a file's samples, by name without the package's and values of labels."""
    families = text_string_to_metric_families(path.read_text("utf-8"))
    samples = (sample for family in families for sample in family.samples)
    return {
        " ".join([sample.name.removeprefix(f"{PACKAGE}_"), *sample.labels.values()]): sample.value
        for sample in samples
    }


def outcomes(seconds: Sequence[float], *, attempts: int = 1, postponed: int = 0) -> Outcomes:
    """Make outcomes that took so long; of these the first few are tried again."""
    return Outcomes(
        keys=["key"] * len(seconds),
        results=["1"] * len(seconds),
        errors={},
        attempts=attempts,
        worker="worker-1",
        started=0.0,
        seconds=seconds,
        postponed=frozenset(range(postponed)),
    )


def live(done: int, failed: int = 0, unsettled: int | None = None) -> Live:
    """Make what a run says of itself."""
    return Live(
        pid=1,
        began=0.0,
        done=done,
        failed=failed,
        rate=0.0,
        waiting=5,
        idle_since=None,
        memory=100,
        unsettled=unsettled,
        workers=[WorkerNow("worker-1", 2, "key", 0.0, 10), WorkerNow("worker-2", 3, None, None, 1)],
    )


@pytest.fixture
def metrics(tmp_path: Path) -> Iterator[Metrics]:
    """Make the metrics of a run."""
    backlog = Backlog(Source(list, lambda: None), list, 1)
    yield Metrics(tmp_path / "folder" / "m.prom", backlog, lambda: [1, 2, 4])
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["m.prom"]


RANDOM = random.Random(1)


@pytest.mark.parametrize(
    "seconds",
    [
        [0.0] * 1000,
        [1e-6, 2e-6],
        [0.0005, 0.00051],
        [BOUNDS[-1]],
        [BOUNDS[-1] + 1],
        [0.1, 4000.0, 0.0, 0.1],
        [10 ** RANDOM.uniform(-5, 5) for _ in range(1000)],
    ],
    ids=["none", "tiny", "at a bound", "the last bound", "above all", "mixed", "any"],
)
def test_histogram_counts_as_one_by_one(seconds: list[float]) -> None:
    """Whether all are in one bucket or not; a bound belongs to what is below it."""
    histogram = SecondsHistogram()
    histogram.observe(seconds)
    histogram.observe(seconds)
    ends = [*BOUNDS, float("inf")]
    expected = [2 * sum(one <= end for one in seconds) for end in ends]
    assert [count for _, count in histogram.buckets()] == expected
    assert histogram.total == pytest.approx(2 * sum(seconds))
    assert bisect_left(BOUNDS, BOUNDS[3]) == 3


def test_the_file_has_it_all(metrics: Metrics) -> None:
    """A parser of the library's own reads it."""
    metrics.observe(NO_OUTCOMES)
    metrics.observe(outcomes([0.2, 0.2]))
    metrics.observe(outcomes([2.0, 2.0, 2.0], attempts=3, postponed=2))
    metrics.backlog.events.replaced[DIED] += 2
    metrics.write(live(done=2, failed=1))
    samples = read(metrics.path)
    assert samples["items_total done"] == 2
    assert samples["items_total failed"] == 1
    assert samples["item_seconds_count"] == 3
    assert samples["item_seconds_sum"] == pytest.approx(2.4)
    assert samples["item_seconds_bucket 0.25"] == 2
    assert samples["attempts_total"] == 5
    assert samples["workers_replaced_total died"] == 2
    assert samples["log_records_diverted_total rescued"] == 3
    assert samples["log_records_diverted_total lost"] == 4
    assert samples["items_waiting"] == 5
    assert (samples["workers"], samples["workers_busy"]) == (2, 1)
    assert (samples["main_memory_bytes"], samples["workers_memory_bytes"]) == (100, 11)
    assert "outcomes_unsettled" not in samples


def test_what_waits_to_be_settled_is_told_where_the_job_wants_to_know(metrics: Metrics) -> None:
    """A job without ``settled`` is never behind."""
    metrics.write(live(done=1, unsettled=9))
    assert read(metrics.path)["outcomes_unsettled"] == 9


def test_a_counter_never_sinks(metrics: Metrics) -> None:
    """The journal may take an outcome back; Prometheus would see a process that began anew."""
    metrics.write(live(done=10))
    metrics.write(live(done=9, failed=1))
    assert read(metrics.path)["items_total done"] == 10


def test_without_the_library_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line that says what to install."""
    monkeypatch.setattr(checks, "find_spec", lambda _name: None)
    assert app.main(["run", "--metrics", str(tmp_path / "m.prom"), str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "install this project with its extra 'metrics'" in error


@pytest.mark.parametrize("name", ["results.db", "results.db-live", "log", "folder", "/dev/null"])
def test_a_file_that_is_another_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Replacing it would destroy what it is."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    files = ["--results", "results.db", "--log-file", "log", "--metrics", name]
    assert app.main(["run", *files, "folder"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
