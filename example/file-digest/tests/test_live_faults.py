"""Whether a run is alive: whatever befalls main, ``status --alive`` and systemd know."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path

import pytest

from .support.service import PACKAGE, Run, Service, kill_process, wait_for
from .test_metrics import read

pty = pytest.importorskip("pty", reason="these signals are those of POSIX")
assert sys.platform != "win32"

Services = Callable[..., Service]

WORKERS = pytest.mark.parametrize("workers", ["0", "2"])


def is_healthy(service: Service) -> bool:
    """Ask as a container's health check does; where it says no, there is one line why."""
    asked = service.command("status", "--results", str(service.results), "--alive")
    assert asked.code in (0, 1)
    assert asked.stderr.count("\n") == asked.code
    return asked.code == 0


def begun(service: Service, *arguments: str) -> Run:
    """Start a run of items that take a moment each, and wait until it says that it lives."""
    run = service.start("1000", "0.05", *arguments)
    wait_for(lambda: is_healthy(service), "a sign of life")
    return run


@WORKERS
def test_main_is_killed(service: Services, workers: str) -> None:
    """Its file is still there, and says nothing; the next run lives again."""
    one = service("napping")
    run = begun(one, "--workers", workers)
    run.send(signal.SIGKILL)
    run.wait()
    assert one.results.with_name("results.db-live").exists()
    assert not is_healthy(one)
    run = begun(one, "--workers", workers)
    run.send(signal.SIGTERM)
    run.wait()
    assert not is_healthy(one)
    assert not one.results.with_name("results.db-live").exists()


def test_main_is_stopped(service: Services) -> None:
    """Within five seconds that is seen, and once it goes on, that is seen too."""
    one = service("napping")
    run = begun(one, "--workers", "2")
    run.send(signal.SIGSTOP)
    began = time.monotonic()
    wait_for(lambda: not is_healthy(one), "it to be seen", 15)
    assert time.monotonic() - began > 1
    run.send(signal.SIGCONT)
    wait_for(lambda: is_healthy(one), "it to live again")


def test_mains_loop_hangs(service: Services, tmp_path: Path) -> None:
    """In main itself, an item that never ends is a loop that does not turn."""
    one = service("stuck")
    one.start(str(tmp_path / "begun"), "--workers", "0")
    wait_for((tmp_path / "begun").exists, "the item")
    wait_for(lambda: not is_healthy(one), "it to be seen")


def test_an_item_that_hangs_is_no_hang_of_main(service: Services, tmp_path: Path) -> None:
    """``status --json`` says who is at it, and since when."""
    one = service("stuck")
    one.start(str(tmp_path / "begun"), "--workers", "2")
    wait_for((tmp_path / "begun").exists, "the item")

    def at_it() -> bool:
        asked = one.command("status", "--results", str(one.results), "--json")
        live = json.loads(asked.stdout)["live"] if asked.code == 0 else None
        workers = live["workers"] if live else []
        return any(each["item"] == "stuck" and each["since"] for each in workers)

    wait_for(at_it, "the worker that is at it")
    assert is_healthy(one)


def test_an_idle_service_is_alive(service: Services) -> None:
    """For much longer than what counts as stuck."""
    one = service("squares")
    one.start("3", "0", "0", "--poll", "3600", "--workers", "1")
    wait_for(lambda: is_healthy(one), "a sign of life")
    end = time.monotonic() + 8
    while time.monotonic() < end:
        assert is_healthy(one)


def test_a_run_is_alive_while_the_last_is_settled(service: Services) -> None:
    """Its items are done and its workers gone; ``status`` says how far ``settled`` is behind."""
    one = service("squares")
    one.append("def settled(outcomes): time.sleep(600)")
    one.start("3", "0", "0", "--workers", "1", "--grace", "600")
    wait_for(lambda: one.count() == 3, "the items")

    def told() -> str:
        return one.command("status", "--results", str(one.results)).stdout

    wait_for(lambda: "3 not settled" in told() and "worker-1" not in told(), "the workers' end")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        assert is_healthy(one)


@WORKERS
def test_systemd_is_told(
    service: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """Once that it is up, again and again that it is not stuck, and that it stops."""
    monkeypatch.chdir(tmp_path)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind("notify")
        manager.settimeout(60)
        one = service("napping")
        wants = {"NOTIFY_SOCKET": os.path.relpath("notify", one.folder), "WATCHDOG_USEC": "2000000"}
        one.environment |= wants
        run, heard = one.start("1000", "0.05", "--workers", workers), list[str]()

        def hear(line: str) -> None:
            while line not in heard:
                heard.extend(manager.recv(4096).decode().split("\n"))

        hear("READY=1")
        for _ in range(3):
            heard.clear()
            hear("WATCHDOG=1")
        assert "READY=1" not in heard
        assert any(line.startswith("STATUS=") for line in heard)
        run.send(signal.SIGTERM)
        hear("STOPPING=1")
        run.wait()


def test_metrics_are_right_whoever_is_killed(service: Services) -> None:
    """Main alone counts, so a killed worker takes no count with it."""
    one = service("napping")
    path = one.folder / "metrics" / "m.prom"
    run = one.start("200", "0.02", "--workers", "2", "--metrics", str(path), "--max-attempts", "99")

    def has(least: int) -> bool:
        return one.count() >= least

    for least in (20, 60, 100):
        wait_for(partial(has, least), "some outcomes")
        kill_process(wait_for(run.worker_pids, "workers")[-1])
        kill_process(run.listener_pid())
    assert run.wait().code == 0
    samples = read(path)
    assert samples["items_total done"] == one.count() == 200
    assert samples["item_seconds_count"] == samples["item_seconds_bucket +Inf"] == 200
    attempts = sum(row["attempts"] for row in one.outcomes().values())
    assert samples["attempts_total"] == attempts
    assert samples["workers_replaced_total died"] >= 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_ends_when_told(service: Services, number: int) -> None:
    """With 0; where there is no terminal it writes plain lines, one picture after the other."""
    one = service("squares")
    assert one.run("3", "0", "0", "--workers", "1").code == 0
    run = Run(one, ("status", "--results", str(one.results), "--watch"))
    one.runs.append(run)
    assert run.process.stdout
    for _ in range(3):
        assert "3 done" in run.process.stdout.readline()
        assert run.process.stdout.readline() == "\n"
    run.send(number)
    assert run.wait().code == 0


def test_watch_on_a_terminal(service: Services) -> None:
    """It shows what a worker is at, and gives the cursor back."""
    one = service("napping")
    begun(one, "--workers", "1")
    terminal, end = pty.openpty()
    watching = subprocess.Popen(
        [sys.executable, "-m", PACKAGE, "status", "--results", str(one.results), "--watch"],
        env=one.environment | {"TERM": "xterm", "COLUMNS": "100", "LINES": "24"},
        stdin=subprocess.DEVNULL,
        stdout=end,
        stderr=end,
    )
    os.close(end)
    seen: list[bytes] = []

    def shows(text: bytes) -> bool:
        with suppress(OSError):  # its end, once nobody writes to it any more
            seen.append(os.read(terminal, 1 << 16))
        return text in b"".join(seen)

    try:
        wait_for(lambda: shows(b"worker-1"), "the worker")
        watching.send_signal(signal.SIGINT)
        wait_for(lambda: shows(b"\x1b[?25h"), "the cursor")
        assert watching.wait(30) == 0
    finally:
        watching.kill()
        watching.wait()
        os.close(terminal)
