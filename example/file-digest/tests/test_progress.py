"""Progress: lines without a terminal, a bar on one."""

import pytest

from file_digest.cli.progress import Bar, Lines, Progress
from file_digest.items.outcomes import Outcomes
from file_digest.items.stats import RunStats

from .support.service import wait_for


def _stats(done: int, failed: int) -> RunStats:
    stats = RunStats()
    stats.add(
        Outcomes(
            keys=["key"] * (done + failed),
            results=["1"] * done + [""] * failed,
            errors=dict.fromkeys(range(done, done + failed), "Traceback\nError: why"),
            attempts=1,
            worker="worker-1",
            started=0.0,
            seconds=[0.0] * (done + failed),
        )
    )
    return stats


def test_stats_count_and_logs_each_failure(caplog: pytest.LogCaptureFixture) -> None:
    """Outcomes are counted by status; a failed one is logged with the last line of its error."""
    stats = _stats(2, 1)
    assert (stats.done, stats.failed) == (2, 1)
    assert caplog.messages == ["item key failed: Error: why"]


def test_lines_come_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However often there is news, a line is written at most once per interval."""
    lines = Lines()
    for _ in range(100):
        lines.show(_stats(1, 0))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(lines, "shown", lines.shown - lines.every)
    for _ in range(100):
        lines.show(_stats(3, 1))
    assert capsys.readouterr().err.count("3 done, 1 failed") == 1


def test_silent_progress_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """--no-progress shows nothing at all."""
    with Progress() as silent:
        silent.show(_stats(3, 1))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("total", "shown"), [(8, "4/8"), (None, "4/?")], ids=["total known", "total unknown"]
)
def test_bar_shows_where_the_run_is(
    capsys: pytest.CaptureFixture[str], total: int | None, shown: str
) -> None:
    """The last picture has the count, the rate and the failures."""
    counted = []

    def count() -> int | None:
        counted.append(total)
        return total

    with Bar(count) as bar:
        wait_for(lambda: counted, "the count")
        bar.show(_stats(3, 1))
    screen = capsys.readouterr().err
    assert shown in screen
    assert "1 failed" in screen
    assert "/s" in screen
