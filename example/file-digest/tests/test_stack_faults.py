"""The Python stack of every process, in the log after SIGUSR1, whatever they are doing."""

import re
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from .support.service import Run, Service, kill_process, report, wait_for

pytest.importorskip("fcntl", reason="these signals are those of POSIX")
assert sys.platform != "win32"

Services = Callable[..., Service]

EVERYONE = {"main", "listener", "worker-1", "worker-2"}
BEGINS = re.compile(r"stack of (\S+), pid (\d+):$")


def stacks(one: Service) -> dict[str, str]:
    """Return the stacks that are in the log, by the process's name without its host."""
    found, name = dict[str, str](), ""
    for line in one.log_lines():
        if match := BEGINS.search(line):
            name = match[1].partition("@")[0]
            found[name] = ""
        elif name and line.startswith("  | "):
            found[name] += f"{line}\n"
        else:
            name = ""
    return found


def start(service: Services, code: str, *options: str, **others: Any) -> Run:
    """Begin a run; return once both workers are at an item."""
    fixed = ("--workers", "2", "--grace", "0", *options)
    run = service("at_run_time").start(code, "100", *fixed, **others)
    notes = run.service.folder / "notes"
    wait_for(lambda: notes.exists() and notes.read_text().count("began") >= 2, "two items")
    return run


def ask(run: Run, whom: set[str]) -> dict[str, str]:
    """Send SIGUSR1; return the stacks once all are there, those of the last time forgotten."""
    one = run.service
    before = one.log_text().count("stack of ")
    run.send(signal.SIGUSR1)
    wait_for(lambda: one.log_text().count("stack of ") >= before + len(whom), "all stacks")
    return stacks(one)


AT = [
    ("waits in Python", "await_gate()", "in await_gate"),
    ("holds the GIL in C", "hold_the_gil()", "in match"),
    ("has threads", "threading.Thread(target=await_gate).start(); hold_the_gil()", "in await_gate"),
]


@pytest.mark.parametrize("transport", ["pipe", "queue"])
@pytest.mark.parametrize("row", AT, ids=[row[0] for row in AT])
def test_everyone_says_where_it_is(
    service: Services, start_method: str, transport: str, row: tuple[str, str, str]
) -> None:
    """All threads of main, of the listener and of each worker, one record for each process."""
    what, code, frame = row
    options = ("--start-method", start_method, "--log-transport", transport)
    run = start(service, f"import threading; {code}", *options)
    for _ in range(2):
        told = ask(run, EVERYONE)
        assert {*told} == EVERYONE
        assert "supervisor.py" in told["main"]
        assert "source.py" in told["main"]
        assert "listener.py" in told["listener"]
        for name in ("worker-1", "worker-2"):
            assert frame in told[name], told[name]
            assert "in work" in told[name]
    run.send(signal.SIGTERM)
    assert run.wait().code == 143
    report(f"{what}: {start_method}, {transport}", tries=2)


def test_whoever_is_stopped_is_named_and_holds_up_nobody(service: Services) -> None:
    """After three seconds one line says that there is no answer; items go on meanwhile."""
    run = start(service, "time.sleep(0.05)")
    one, stopped = run.service, wait_for(run.worker_pids, "a worker")[0]
    kill_process(stopped, signal.SIGSTOP)
    told = ask(run, EVERYONE)
    (silent,) = [name for name, text in told.items() if "File" not in text]
    assert re.search(rf"stack of {silent}(@\S+)?, pid {stopped}:", one.log_text())
    assert "no answer within 3 s" in told[silent]
    kill_process(stopped, signal.SIGCONT)
    assert run.wait().code == 0
    assert {row["attempts"] for row in one.outcomes().values()} == {1}


def test_a_listener_that_was_replaced_says_where_it_is(service: Services) -> None:
    """The new one answers, and nobody asks in place of the old one."""
    run = start(service, "await_gate()")
    old = wait_for(run.listener_pid, "the listener")
    kill_process(old)
    wait_for(lambda: run.listener_pid() not in (0, old), "its successor")
    wait_for(lambda: "listener.py" in ask(run, EVERYONE)["listener"], "its stack")
    run.send(signal.SIGTERM)
    assert run.wait().code == 143


def test_an_item_that_is_killed_later_has_its_own_stack(service: Services) -> None:
    """A stack that was asked for before is no part of its error."""
    run = start(service, "await_gate()", "--item-timeout", "6", "--max-attempts", "1")
    ask(run, EVERYONE)
    wait_for(lambda: run.service.count("failed") >= 2, "two items to be timed out")
    run.send(signal.SIGTERM)
    run.wait()
    error = run.service.outcomes()["item-0"]["error"]
    assert error.startswith("timed out after 6 s")
    assert error.count("in await_gate") == 1


def test_in_main_alone_the_stack_is_that_of_its_item(service: Services) -> None:
    """With ``--workers 0``: where main was when the signal came, logged once the item is done."""
    one = service("at_run_time")
    run = one.start("await_gate(); time.sleep(0.1)", "10", "--workers", "0")
    notes = one.folder / "notes"
    wait_for(lambda: notes.exists() and "began" in notes.read_text(), "an item to begin")
    time.sleep(0.1)
    run.send(signal.SIGUSR1)
    time.sleep(0.1)
    (one.folder / "gate").touch()
    assert run.wait().code == 0
    told = stacks(one)
    assert {*told} == {"main", "listener"}
    assert "in await_gate" in told["main"]


def test_a_job_that_handles_the_signal_itself_keeps_it(service: Services) -> None:
    """Its handler runs, in main; nothing is logged of stacks."""
    one = service("at_run_time")
    one.append("import signal")
    one.append("signal.signal(signal.SIGUSR1, lambda *_: note('handled', 0))")
    run = start(lambda _: one, "await_gate()")
    run.send(signal.SIGUSR1)
    wait_for(lambda: "handled" in (one.folder / "notes").read_text(), "its handler to run")
    (one.folder / "gate").touch()
    assert run.wait().code == 0
    assert not stacks(one)
