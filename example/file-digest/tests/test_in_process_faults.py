"""``--workers 0``: the same job, journal, log and exit codes, in one process and thread."""

import json
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from .support.service import Service, wait_for

Services = Callable[..., Service]

JOB = """
    import logging, os, signal, sys, threading, time
    from contextlib import contextmanager

    log, tries = logging.getLogger(__name__), []
    RETRY = (ConnectionError,)

    @contextmanager
    def lifespan(index):
        log.info("set up %d", index)
        yield "resource"
        log.info("torn down")

    def items(inputs):
        return ((f"item-{number}", text) for number, text in enumerate(inputs))

    def work(text, resource):
        log.info("at work")
        tries.append(text)
        if text == "raises": raise ValueError("no good")
        if text == "exits": sys.exit(3)
        if text == "is flaky" and tries.count(text) < 3: raise ConnectionError("not now")
        if text == "stops": breakpoint()
        if text == "hangs": time.sleep(600)
        return [resource, os.getpid(), os.getppid(), threading.current_thread().name]
"""
ARGUMENTS = "--workers", "0", "--retry-delay", "0.01"


def test_all_is_done_in_this_process(service: Services) -> None:
    """Errors are outcomes, flaky items are tried again, the lifespan ends, the log is as ever."""
    one = service(JOB)
    run = one.start("works", "raises", "exits", "is flaky", *ARGUMENTS)
    finished = run.wait()
    assert finished.code == 1, finished.stderr
    outcomes = one.outcomes()
    for key in ("item-0", "item-3"):
        resource, pid, _, thread = one.result(key)
        assert (resource, pid, thread) == ("resource", run.process.pid, "MainThread")
    assert "ValueError: no good" in outcomes["item-1"]["error"]
    assert "SystemExit: 3" in outcomes["item-2"]["error"]
    assert outcomes["item-3"]["attempts"] == 3
    text = one.log_text()
    assert text.count(" [item-3] at work") == 3
    assert text.index("set up 0") < text.index("at work") < text.index("torn down")


def test_a_breakpoint_stops_there(service: Services) -> None:
    """The debugger reads standard input and shows the item's own variables."""
    one = service(JOB)
    run = one.start("stops", *ARGUMENTS, stdin=subprocess.PIPE)
    stdout, stderr = run.process.communicate("p 'it is', text\np resource\nc\n", timeout=60)
    assert run.process.returncode == 0, stderr
    assert "('it is', 'stops')" in stdout
    assert "'resource'" in stdout
    assert one.count() == 1


def test_a_second_signal_interrupts_the_item(service: Services) -> None:
    """It has no outcome and is done by the next run; the first signal waits for it."""
    one = service(JOB)
    run = one.start("hangs", "works", *ARGUMENTS)
    wait_for(lambda: "at work" in one.log_text(), "the item")
    run.send(signal.SIGINT)
    wait_for(lambda: "stopping: " in one.log_text() or run.process.poll() is None, "the first")
    with pytest.raises(subprocess.TimeoutExpired):
        run.process.wait(1.0)
    run.send(signal.SIGINT)
    finished = run.wait(20)
    assert finished.code == 128 + signal.SIGINT, finished.stderr
    assert one.outcomes() == {}
    assert "torn down" in one.log_text()


LIFESPAN = [("set-up", 'log.info("set up %d", index)', 0), ("teardown", 'log.info("torn down")', 1)]


@pytest.mark.parametrize(("what", "line", "done"), LIFESPAN, ids=[row[0] for row in LIFESPAN])
def test_a_second_signal_interrupts_the_lifespan(
    service: Services, what: str, line: str, done: int
) -> None:
    """As it does an item: nothing else ends one that hangs."""
    one = service(JOB.replace(line, f'log.info("hangs"); time.sleep(600); {line}'))
    run = one.start("works", *ARGUMENTS)
    wait_for(lambda: "hangs" in one.log_text(), what)
    run.send(signal.SIGTERM)
    time.sleep(0.6)  # a second request counts only half a second after the first
    run.send(signal.SIGTERM)
    finished = run.wait(20)
    assert (finished.code, one.count()) == (128 + signal.SIGTERM, done), finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("option", ["--item-timeout"])
def test_what_needs_a_process_of_its_own_is_refused(service: Services, option: str) -> None:
    """In one line, before anything is touched."""
    one = service(JOB)
    finished = one.run("works", *ARGUMENTS, option, "5")
    assert finished.code == 2
    assert finished.stderr == f"Error: {option}: needs a process of its own; --workers 0 has none\n"
    assert not one.results.exists()


@pytest.mark.parametrize("error", ["RuntimeError: no model", "KeyboardInterrupt"])
def test_a_lifespan_that_fails_is_exit_3(service: Services, error: str) -> None:
    """With the reason in one line, as with workers."""
    kind, _, text = error.partition(": ")
    one = service(f"""
        from contextlib import contextmanager

        def items(inputs):
            return [("a", 1)]

        @contextmanager
        def lifespan(index):
            raise {kind}({text!r})
            yield

        def work(payload, resource):
            return payload
    """)
    finished = one.run(*ARGUMENTS)
    assert finished.code == 3
    assert finished.stderr == f"Error: workers cannot start: {error}\n"
    assert json.dumps(one.count()) == "0"
