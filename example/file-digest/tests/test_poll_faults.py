"""``--poll``: items() is called again and again, whatever becomes of it, and a key is done once."""

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from .support.service import Service, wait_for

Services = Callable[..., Service]

INBOX = """
    import logging, os, sys
    from pathlib import Path

    log = logging.getLogger(__name__)
    FOLDER = Path(__file__).parents[2] / "inbox"

    def items(inputs):
        with open(FOLDER.with_name("calls"), "a") as calls:
            calls.write("x")
        if (trouble := FOLDER.with_name("trouble")).exists():
            raise eval(trouble.read_text())
        return ((path.name, path.name) for path in sorted(FOLDER.iterdir()))

    def work(name):
        log.info("at work")
        if name == "bad":
            raise ValueError("no good")
        return name
"""


class Inbox:
    """A service that polls a folder."""

    def __init__(self, services: Services) -> None:
        """Make the folder."""
        self.service = services(INBOX)
        self.folder = self.service.folder / "inbox"
        self.folder.mkdir()

    def put(self, *names: str) -> None:
        """Let files arrive."""
        for name in names:
            (self.folder / name).touch()

    def calls(self) -> int:
        """Return how often items() was called."""
        path = self.service.folder / "calls"
        return len(path.read_text()) if path.exists() else 0

    def await_calls(self, more: int) -> None:
        """Wait for some calls more."""
        wanted = self.calls() + more
        wait_for(lambda: self.calls() >= wanted, "calls of items()")


@pytest.fixture
def inbox(service: Services) -> Inbox:
    """Make an inbox."""
    return Inbox(service)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_what_arrives_is_done_once(inbox: Inbox, workers: str) -> None:
    """Also what is found again at each look, be it done or failed, until a signal ends the run."""
    inbox.put("a", "bad")
    run = inbox.service.start("--poll", "0.05", "--workers", workers)
    wait_for(lambda: inbox.service.count("failed") + inbox.service.count() == 2, "the first two")
    inbox.await_calls(3)
    inbox.put("b", "c")
    wait_for(lambda: inbox.service.count() == 3, "the next two")
    inbox.await_calls(3)
    run.send(signal.SIGTERM)
    assert run.wait().code == 128 + signal.SIGTERM
    assert inbox.service.log_text().count("] at work") == 4
    assert "yielded twice" not in inbox.service.log_text()


@pytest.mark.parametrize("at_once", [True, False], ids=["at the first call", "later"])
def test_an_error_of_items_is_logged_and_tried_again(inbox: Inbox, *, at_once: bool) -> None:
    """With back-off; what arrives after it is done."""
    trouble = inbox.service.folder / "trouble"
    if at_once:
        trouble.write_text("ConnectionError('down')")
    run = inbox.service.start("--poll", "0.05", "--workers", "1")
    wait_for(lambda: inbox.calls() >= 1, "the first call")
    trouble.write_text("ConnectionError('down')")
    wait_for(lambda: "ConnectionError: down" in inbox.service.log_text(), "the error in the log")
    trouble.unlink()
    inbox.put("a")
    wait_for(lambda: inbox.service.count() == 1, "what arrived")
    run.send(signal.SIGTERM)
    assert run.wait().code == 128 + signal.SIGTERM
    assert "items() raised, and is called again in" in inbox.service.log_text()


def test_without_it_an_error_of_items_ends_the_run(inbox: Inbox) -> None:
    """With an exit code of its own, after which a restart may help."""
    (inbox.service.folder / "trouble").write_text("ConnectionError('down')")
    assert inbox.service.run("--workers", "1").code == 4


def test_inputs_that_are_refused_end_the_run_at_once(inbox: Inbox) -> None:
    """Calling items() again would not make the inputs valid."""
    (inbox.service.folder / "trouble").write_text("FileNotFoundError(2, 'no such file', 'nowhere')")
    finished = inbox.service.run("--poll", "0.05", "--workers", "1")
    assert (finished.code, "nowhere: no such file" in finished.stderr) == (2, True)


def test_it_is_idle_while_nothing_new_is_found(inbox: Inbox) -> None:
    """``status`` says since when, however often what is done comes again."""
    inbox.put(*(f"file-{number}" for number in range(300)))
    run = inbox.service.start("--poll", "0.02", "--workers", "1")
    wait_for(lambda: inbox.service.count() == 300, "the items")

    def idle_since() -> Any:
        asked = ("status", "--results", str(inbox.service.results), "--json")
        live = json.loads(inbox.service.command(*asked).stdout)["live"] or {"done": 0}
        return live["idle_since"] or 0.0 if live["done"] == inbox.service.count() else 0.0

    first = wait_for(idle_since, "it to be idle")
    for _ in range(4):
        inbox.await_calls(20)
        assert idle_since() == first
    inbox.put("new")
    wait_for(lambda: idle_since() > first, "something new to be done")
    run.send(signal.SIGTERM)
    run.wait()


def test_a_pause_longer_than_any(inbox: Inbox) -> None:
    """More seconds than a thread can wait are as good as for ever."""
    inbox.put("a")
    run = inbox.service.start("--poll", "1e300", "--workers", "1")
    wait_for(lambda: inbox.service.count() == 1, "the first")
    run.send(signal.SIGTERM)
    finished = run.wait()
    assert (finished.code, "Error" in finished.stderr) == (128 + signal.SIGTERM, False)


def test_idle_costs_next_to_nothing(inbox: Inbox) -> None:
    """All processes of an idle service take less than a twentieth of a processor together."""
    run = inbox.service.start("--poll", "600", "--workers", "2")
    wait_for(lambda: inbox.calls() == 1, "the first call")
    wait_for(lambda: "listener" in inbox.service.log_text(), "the log")

    def used() -> float:
        times = [psutil.Process(one.pid).cpu_times() for one in run.processes()]
        return sum(one.user + one.system for one in times)

    before, end = used(), time.monotonic() + 10
    wait_for(lambda: time.monotonic() > end, "ten seconds to pass")
    assert used() - before < 0.5
    run.send(signal.SIGINT)
    assert run.wait(20).code == 128 + signal.SIGINT
