"""One kill of each kind, on the whole service; ``pytest -m faults`` runs all there are."""

import re
import signal
import sys

import pytest

from .support.service import kill_process, wait_for
from .support.stoppable import ENDLESS, QUICK, Services, StoppableService

pytest.importorskip("fcntl", reason="these kills are those of POSIX")
assert sys.platform != "win32"

BUSY = "time.sleep(0.02)"


def test_a_worker_is_killed(service: Services) -> None:
    """Another takes its place; each item has one outcome, and only the held one was tried twice."""
    stoppable = StoppableService(service, BUSY)
    run = stoppable.start(items=100)
    kill_process(wait_for(run.worker_pids, "a worker")[0])
    assert run.wait().code == 0
    outcomes = stoppable.service.outcomes()
    assert {key: row["result"] for key, row in outcomes.items()} == {
        f"item-{number}": str(number) for number in range(100)
    }
    assert sum(row["attempts"] - 1 for row in outcomes.values()) <= 1
    assert "worker died: SIGKILL" in stoppable.service.log_text()


def test_the_listener_is_killed(service: Services) -> None:
    """Another takes its place, and the log holds every record."""
    stoppable = StoppableService(service, BUSY)
    run = stoppable.start(items=100)
    kill_process(wait_for(run.listener_pid, "the listener"))
    assert run.wait().code == 0
    text = stoppable.service.log_text()
    assert "SIGKILL" in text
    logged = sorted(map(int, re.findall(r"item-(\d+) was done", text)))
    assert logged == sorted(stoppable.noted("logged")) == list(range(100))


def test_main_is_killed(service: Services) -> None:
    """Workers and listener leave, the log holds every record, and a rerun does the rest."""
    stoppable = StoppableService(service, BUSY)
    run = stoppable.start()
    run.send(signal.SIGKILL)
    run.process.wait()
    run.wait_until_gone(2)
    logged = set(re.findall(r"item-(\d+) was done", stoppable.service.log_text()))
    assert set(map(str, stoppable.noted("logged"))) <= logged
    stoppable.behave(QUICK)
    assert stoppable.service.run("1000").code == 0
    assert len(stoppable.service.outcomes()) == 1000


def test_the_service_is_stopped(service: Services) -> None:
    """SIGTERM: running items finish and are kept, nothing else begins, nobody is left."""
    stoppable = StoppableService(service, BUSY)
    run = stoppable.start()
    run.send(signal.SIGTERM)
    assert run.wait().code == 128 + signal.SIGTERM
    run.wait_until_gone(2)
    done = {f"item-{number}" for number in stoppable.noted("logged")}
    assert set(stoppable.service.outcomes()) == done
    assert len(stoppable.noted("began")) == len(done)


def test_an_item_exceeds_its_time_limit(service: Services) -> None:
    """Its worker is killed and the item has failed; the run ends."""
    stoppable = StoppableService(service, ENDLESS)
    run = stoppable.start("--item-timeout", "0.5", "--max-attempts", "1", items=1)
    assert run.wait().code == 1
    assert stoppable.service.outcomes()["item-0"]["error"].startswith("timed out after 0.5 s\n")
