"""Runs that end before their items: ``--limit``, ``--max-failures``; and ``--dry-run``."""

import signal
from collections.abc import Callable

import pytest

from file_digest.items.stats import RunStats
from file_digest.settings import Share

from .support.service import SLACK, Service, wait_for

Services = Callable[..., Service]

ENDLESS = """
    import logging, time

    def items(inputs):
        number = 0
        while True:
            yield f"item-{number}", number
            number += 1

    def work(number):
        logging.info("began")
        time.sleep(0.002)
        if number % 4 == 1:
            raise ValueError(f"no good: {number % 8}")
        return number
"""


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(("limit", "failed"), [("5", 5), ("20%", 5)])
def test_too_many_failures_halt_a_run(
    service: Services, workers: str, limit: str, failed: int
) -> None:
    """Nothing new begins, all that began is recorded, exit 5; a rerun goes on where it halted."""
    one = service(ENDLESS)
    finished = one.run("--workers", workers, "--max-failures", limit)
    assert finished.code == 5, finished.stderr
    assert "halted by --max-failures; most often" in finished.stdout
    assert "x ValueError: no good: " in finished.stdout
    first = one.outcomes()
    assert one.count("failed") >= failed
    assert one.log_text().count("] began") == len(first)
    assert one.run("--workers", workers, "--max-failures", limit).code == 5
    assert len(one.outcomes()) > len(first)


@pytest.mark.parametrize(
    ("done", "failed", "limit", "halts"),
    [
        (0, 2, Share(3, is_percentage=False), False),
        (0, 3, Share(3, is_percentage=False), True),
        (1_000, 3, Share(3, is_percentage=False), True),
        (0, 19, Share(5, is_percentage=True), False),
        (19, 1, Share(5, is_percentage=True), True),
        (20, 1, Share(5, is_percentage=True), False),
        (20, 0, Share(0, is_percentage=True), False),
        (19, 1, Share(0, is_percentage=True), True),
        (0, 1_000, None, False),
    ],
)
def test_when_a_run_is_halted(done: int, failed: int, limit: Share | None, halts: bool) -> None:
    """By number at once, by share only of 20 items or more."""
    assert RunStats(done=done, failed=failed).exceeds(limit) is halts


def test_a_signal_ends_a_run_that_is_halted(service: Services) -> None:
    """Running items then have the grace period, and no more."""
    one = service("""
        import time

        def items(inputs):
            yield "slow", 600
            yield "bad", None

        def work(seconds):
            time.sleep(seconds)
    """)
    run = one.start("--workers", "2", "--max-failures", "1", "--grace", "0.2")
    wait_for(lambda: "halted by" in one.log_text(), "the halt")
    run.send(signal.SIGTERM)
    assert run.wait(20).code == 128 + signal.SIGTERM
    assert set(one.outcomes()) == {"bad"}


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_limit_is_of_items_without_an_outcome(service: Services, workers: str) -> None:
    """Run after run does the next so many; also of a source that has no end."""
    one = service(ENDLESS)
    for runs in (1, 2, 3):
        assert one.run("--workers", workers, "--limit", "3", "--retry-failed").code in (0, 1)
        assert len(one.outcomes()) >= runs  # those that failed are done again
    assert set(one.outcomes()) <= {f"item-{number}" for number in range(9)}


def test_a_dry_run_prints_keys_and_touches_nothing(service: Services) -> None:
    """Neither results nor log appear; items that have an outcome are left out."""
    one = service(ENDLESS)
    first = one.run("--dry-run", "--limit", "3")
    assert (first.code, first.stdout) == (0, "item-0\nitem-1\nitem-2\n")
    assert not one.results.exists()
    assert not one.log.parent.exists()
    one.run("--workers", "1", "--limit", "2")
    before = one.log_text()
    assert one.run("--dry-run", "--limit", "2").stdout == "item-2\nitem-3\n"
    assert one.run("--dry-run", "--limit", "2", "--retry-failed").stdout == "item-1\nitem-2\n"
    assert one.log_text() == before
    assert len(one.outcomes()) == 2


def test_a_dry_run_prints_a_key_that_comes_twice_once(service: Services) -> None:
    """As a run does it once; that counts for the limit, in a fresh journal as in an old one."""
    one = service("""
        def items(inputs):
            return ((key, None) for key in ("a", "a", "b", "a", "c", "b", "d"))

        def work(payload):
            return payload
    """)
    assert one.run("--dry-run", "--limit", "3").stdout == "a\nb\nc\n"
    assert one.run("--limit", "1", "--workers", "1").code == 0
    assert one.run("--dry-run", "--limit", "2").stdout == "b\nc\n"


def test_a_dry_run_of_many_items(service: Services) -> None:
    """It reads as fast as the source yields, of items that are done and that are not."""
    one = service("""
        def items(inputs):
            return ((f"item-{number}", number) for number in range(int(inputs[0])))

        def work(number):
            return number
    """)
    assert one.run("5000", "--workers", "1").code == 0
    for given, count in (("5000", 0), ("10000", 5000)):
        finished = one.run("--dry-run", given)
        assert (finished.code, len(finished.stdout.splitlines())) == (0, count)
        assert finished.seconds < SLACK * 5
