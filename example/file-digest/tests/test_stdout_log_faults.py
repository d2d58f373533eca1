"""The log on standard output: what is there, whoever reads it, and whoever dies meanwhile.

A thread of the test reads there and writes what comes into a file, as an engine of containers does.
"""

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest

from .support.service import Run, Service, report, wait_for
from .support.writers import RECORD, Writers, assert_complete, numbers

pty = pytest.importorskip("pty", reason="no log goes to standard output elsewhere")
assert sys.platform != "win32"

Services = Callable[..., Service]

TO_STDOUT = ("--log-file", "-")
SHELL = ("bash", "-c")
TRANSPORTS = pytest.mark.parametrize("transport", ["pipe", "queue"])
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \S+ +[A-Z]+ +\[.*|  \| .*")
TAIL = re.compile(r"x*\.")
"""The end of a long record."""


def pipe() -> tuple[int, int]:
    """A pipe, as ``docker`` reads and a shell makes."""
    return os.pipe()


def full_pipe() -> tuple[int, int]:
    """A pipe that does not block, and is full until somebody reads it."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 512)
    return reader, writer


@contextmanager
def collected(one: Service, make: Callable[[], tuple[int, int]] = pipe) -> Iterator[int]:
    """Yield a descriptor to write to; what comes out of it is the service's log."""
    reader, writer = make()
    one.log.parent.mkdir(exist_ok=True)

    def copy() -> None:
        with one.log.open("ab", buffering=0) as file, suppress(OSError):  # a terminal's end
            while data := os.read(reader, 1 << 16):
                file.write(data)

    thread = Thread(target=copy)
    thread.start()
    try:
        yield writer
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)


def start(one: Service, writer: int, *arguments: str, **options: Any) -> Run:
    """Begin a run whose log goes to a descriptor."""
    return one.start(*arguments, "--workers", "2", *TO_STDOUT, stdout=writer, **options)


@TRANSPORTS
@pytest.mark.parametrize("make", [pipe, pty.openpty, full_pipe])
def test_standard_output_holds_the_log_alone(
    service: Services, make: Callable[[], tuple[int, int]], transport: str
) -> None:
    """All records, and no line else; what is printed and the last lines are on standard error."""
    one = service("printing")
    with collected(one, make) as writer:
        run = start(one, writer, "--log-transport", transport, "--no-capture-output")
        finished = run.wait()
    assert finished.code == 1
    lines = [line for line in one.log_lines() if line]
    assert all(LINE.fullmatch(line) for line in lines), lines
    assert "run begins" in lines[0]
    assert "run ends: 5 done, 1 failed" in lines[-1]
    for told in ("reading plain", "doing plain", "5 done, 1 failed", "log:     standard output"):
        assert told in finished.stderr
    assert not list(one.folder.glob("*.log*"))


class ToStdout(Writers):
    """Workers whose log goes to standard output."""

    seen, pid = 0, 0

    def listener(self) -> int:
        """Return the newest listener that the log names, 0 if it is gone."""
        with self.service.log.open("rb") as file:
            file.seek(self.seen)
            whole = file.read().rpartition(b"\n")[0]
        self.seen += len(whole)
        if pids := re.findall(rb"(?:log listener pid|died \(.*\), pid) (\d+)", whole):
            self.pid = int(pids[-1])
        return self.pid if self.pid and psutil.pid_exists(self.pid) else 0


def test_a_killed_listener_costs_no_record(service: Services) -> None:
    """20 SIGKILLs under load: all records are there, in order, those of one write perhaps twice."""
    one = service("writing")
    with collected(one) as writer:
        writers = ToStdout(one, "--log-transport", "pipe", *TO_STDOUT, stdout=writer)
        for _ in range(20):
            assert writers.kill_the_listener() < 2
        writers.wait_until_all_go_on()
        writers.stop()
        finished = writers.run.wait()
    assert finished.code == 0, finished.stderr
    assert "lost" not in finished.stderr
    tails = [line for line in one.log_lines() if TAIL.fullmatch(line)]
    found = numbers(line for line in one.log_lines() if not TAIL.fullmatch(line))
    repeated = sum(len(each) - len(set(each)) for each in found.values())
    once = {writer: list(dict.fromkeys(each)) for writer, each in found.items()}
    records = assert_complete(writers.returned(), once)
    report("log on stdout: listener killed", tries=20, records=records, lost=0, twice=repeated)
    assert repeated + len(tails) <= 20 * 4096 / len("2026-01-01 00:00:00,000 writer record .")
    assert not list(one.folder.glob("*.part"))


@TRANSPORTS
def test_a_reader_that_goes_away_costs_records_only(service: Services, transport: str) -> None:
    """The run goes on with its exit code; the loss is counted and told on standard error."""
    one = service("napping")
    reader, writer = os.pipe()
    run = start(one, writer, "30", "0.05", "--log-transport", transport)
    os.close(writer)
    wait_for(lambda: one.count() > 2, "the first outcomes")
    os.close(reader)
    finished = run.wait()
    assert (finished.code, one.count()) == (0, 30), finished.stderr
    assert finished.stderr.count("log listener: standard output cannot be written: Broken") == 1
    told = re.search(r"^(\d+) log records were lost$", finished.stderr, re.MULTILINE)
    assert told
    assert 1 <= int(told[1]) <= 30 + 5


@pytest.mark.parametrize("blocking", [True, False], ids=["blocks", "does not block"])
def test_a_reader_that_stands_still_holds_up_no_run(service: Services, blocking: bool) -> None:
    """The exit code is the run's; standard error says that the log is not complete."""
    one = service("napping")
    reader, writer = full_pipe()
    os.set_blocking(writer, blocking)
    finished = start(one, writer, "30", "0.02").wait()
    assert (finished.code, one.count()) == (0, 30), finished.stderr
    assert "not everything could be written to standard output" in finished.stderr
    os.close(reader)
    os.close(writer)


def test_records_that_a_slow_reader_delays_are_beside_the_results(service: Services) -> None:
    """Workers wait, then use the rescue file; once somebody reads, the log says so, complete."""
    one = service("writing")
    reader, writer = full_pipe()
    notes = one.folder / "notes"
    notes.mkdir()
    run = start(one, writer, str(notes), "2", "0.001")
    rescued = wait_for(lambda: list(one.folder.glob("*.log.rescue")), "the rescue file")[0]
    with collected(one, lambda: (reader, writer)):
        wait_for(lambda: "stood still" in one.log_text(), "the log to say so")
        (notes / "stop").touch()
        finished = run.wait()
    assert finished.code == 0, finished.stderr
    assert f"log records went to {rescued}" in one.log_text()
    lines = [*one.log_lines(), *rescued.read_text().splitlines()]
    found = Counter(match.groups() for line in lines if (match := RECORD.fullmatch(line)))
    assert set(found.values()) == {1}
    returned = {path.name: path.read_bytes()[:8] for path in notes.glob("*.*")}
    assert len(found) == sum(int.from_bytes(each, "little") for each in returned.values())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="that device is Linux's")
def test_a_full_disk_behind_standard_output_holds_up_no_run(service: Services) -> None:
    """There is nobody to wait for at the end; standard error says why, and that it is so."""
    one = service("napping")
    with open("/dev/full", "wb") as full:
        finished = start(one, full.fileno(), "30", "0.02").wait()
    assert (finished.code, one.count()) == (0, 30), finished.stderr
    assert "standard output cannot be written: No space left" in finished.stderr
    assert "not everything could be written to standard output" in finished.stderr


def test_a_log_needs_no_standard_error(service: Services) -> None:
    """Output for standard error is dropped, and not in the log."""
    one = service("printing")
    with collected(one) as writer:
        command = [*SHELL, f"exec '{sys.executable}' \"$@\" 2>&-", "sh"]
        assert start(one, writer, prefix=command).wait().code == 1
    assert all(LINE.fullmatch(line) for line in one.log_lines())
    assert "run ends: 5 done, 1 failed" in one.log_text()


def test_sighup_reopens_nothing(service: Services) -> None:
    """There is no file; the log goes on."""
    one = service("napping")
    with collected(one) as writer:
        run = start(one, writer, "30", "0.05")
        wait_for(lambda: one.count() > 2, "the first outcomes")
        run.send(signal.SIGHUP)
        assert run.wait().code == 0
    assert {f"at item {n}" for n in range(30)} <= set(re.findall(r"at item \d+", one.log_text()))


def test_a_killed_main_leaves_a_complete_log(service: Services) -> None:
    """The listener writes what was logged, and leaves within two seconds."""
    one = service("writing")
    with collected(one) as writer:
        writers = ToStdout(one, "--log-transport", "pipe", *TO_STDOUT, stdout=writer)
        writers.run.send(signal.SIGKILL)
        writers.run.wait_until_gone(2.0)
    assert_complete(writers.returned(), numbers(one.log_lines()))


def test_a_file_that_is_called_so_has_a_folder(service: Services) -> None:
    """``./-`` is a file like any other."""
    one = service("squares")
    finished = one.run("1", "1", "0", "--log-file", "./-")
    assert finished.code == 0, finished.stderr
    assert "run ends: 1 done" in (one.folder / "-").read_text()
    assert "1 done" in finished.stdout


def test_no_file_has_the_lines_of_an_item(service: Services) -> None:
    """Whoever looks for them is told where the log went."""
    finished = service("squares").command("log", "item-0", *TO_STDOUT)
    assert finished.code == 2
    assert finished.stderr.startswith("Error: --log-file: the log went to standard output")
