"""The log after faults: the process that is killed or stopped, the stage, the required content.

The rows of the pipe hold without exception. Where the queue cannot hold a promise a test named
``test_the_queue_cannot_promise_...`` says what is lost.
"""

import random
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from file_digest.settings import start_methods

from .support.disks import DISKS, Disk
from .support.service import SLACK, TRIES, Finished, Service, kill_process, report, wait_for
from .support.writers import Writers, assert_complete, count_lost, numbers

pytest.importorskip("fcntl", reason="these signals are those of POSIX")
assert sys.platform != "win32"

Services = Callable[..., Service]

PIPE = ("--log-transport", "pipe")
QUEUE = ("--log-transport", "queue")
TRANSPORTS = [pytest.param(PIPE, id="pipe"), pytest.param(QUEUE, id="queue")]
RESCUE_SECONDS = 5.0
"""Seconds that a log call waits for a listener that stands still."""


def finish(writers: Writers, code: int = 0) -> Finished:
    """Let the run come to its end."""
    writers.stop()
    finished = writers.run.wait()
    assert finished.code == code, finished.stderr
    assert writers.parts() == []
    return finished


# --- killed ---------------------------------------------------------------------------------


def workers(writers: Writers) -> float:
    """40 SIGKILLs of workers."""
    for _ in range(40):
        writers.kill_a_worker()
    writers.wait_until_all_go_on()
    return 0.0


def listener(writers: Writers) -> float:
    """20 SIGKILLs of the listener, each of which must be replaced within a second."""
    slowest = max(writers.kill_the_listener() for _ in range(20))
    writers.wait_until_all_go_on()
    return slowest


def workers_and_listener(writers: Writers) -> float:
    """20 SIGKILLs of each, in turn."""
    slowest = 0.0
    for _ in range(20):
        writers.kill_a_worker()
        slowest = max(slowest, writers.kill_the_listener())
    return slowest


@pytest.mark.parametrize(
    ("killed", "kills"), [(workers, 40), (listener, 20), (workers_and_listener, 40)]
)
def test_a_kill_loses_and_tears_nothing_and_blocks_nobody(
    service: Services, killed: Callable[[Writers], float], kills: int
) -> None:
    """Every record whose call had returned is in the log, once, whole and in order."""
    writers = Writers(service("writing"), *PIPE)
    slowest = killed(writers)
    finish(writers)
    returned = writers.returned()
    records = assert_complete(returned, numbers(writers.service.log_lines()))
    report(f"log: {killed.__name__} killed", tries=kills, records=records, lost=0, seconds=slowest)
    assert slowest < SLACK * 1.0


def test_a_killed_main_leaves_a_complete_log(service: Services) -> None:
    """The listener writes what was logged, and leaves within two seconds."""
    for _ in range(TRIES):
        writers = Writers(service("writing"), *PIPE)
        time.sleep(random.uniform(0, 0.3))
        writers.run.send(signal.SIGKILL)
        took = writers.run.wait_until_gone(2.0)
        records = assert_complete(writers.returned(), numbers(writers.service.log_lines()))
        assert writers.parts() == []
        report("log: main killed", records=records, lost=0, seconds=took)


@pytest.mark.parametrize("killed", [workers, listener])
def test_the_queue_cannot_promise_to_survive_a_kill(
    service: Services, killed: Callable[[Writers], float]
) -> None:
    """Records of the killed, and maybe of all others, are lost; every item is done all the same."""
    writers = Writers(service("writing"), *QUEUE)
    for _ in range(3):
        if killed is workers:
            writers.kill_a_worker()
        else:
            kill_process(wait_for(writers.listener, "a listener"))
            wait_for(lambda: not writers.listener(), "its end")
    finish(writers)
    assert writers.service.count() == 4
    found = numbers(line for line in writers.service.log_lines() if line.endswith("."))
    lost = count_lost(writers.returned(), found)
    report(f"queue: {killed.__name__} killed", lost=lost)


# --- stopped --------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_listener_that_stands_still_is_waited_for_then_gone_round(
    service: Services, transport: tuple[str, ...]
) -> None:
    """A call waits 5 s at most; then records go to the rescue file, and the log says so."""
    writers = Writers(service("writing"), *transport)
    log = writers.service.log
    rescue = log.with_name(log.name + ".rescue")
    stopped = wait_for(writers.listener, "the listener")
    kill_process(stopped, signal.SIGSTOP)
    wait_for(rescue.exists, "the rescue file", RESCUE_SECONDS + SLACK * 3)
    writers.wait_until_all_go_on()
    kill_process(stopped, signal.SIGCONT)
    wait_for(lambda: b"stood still" in log.read_bytes(), "the log to say so")
    finish(writers)
    rescued = numbers(rescue.read_text().splitlines())
    found = numbers(writers.service.log_lines())
    for writer, saved in rescued.items():
        found[writer] = sorted(found[writer] + saved)
    records = assert_complete(writers.returned(), found)
    assert writers.longest_call() < RESCUE_SECONDS + SLACK * 2
    report(f"{transport[1]}: listener stopped", records=records, seconds=writers.longest_call())


def test_a_listener_that_stays_stopped_is_replaced_at_the_end(service: Services) -> None:
    """The run ends all the same, and all that the pipe held is in the log."""
    writers = Writers(service("writing"), *PIPE, workers=1)
    kill_process(wait_for(writers.listener, "the listener"), signal.SIGSTOP)
    finish(writers)
    rescue = writers.service.log.with_name(writers.service.log.name + ".rescue")
    found = numbers(writers.service.log_lines())
    if rescue.exists():
        assert f"log records went to {rescue}" in writers.service.log_text()
        for writer, saved in numbers(rescue.read_text().splitlines()).items():
            found[writer] = sorted(found[writer] + saved)
    assert_complete(writers.returned(), found)


# --- rotated --------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_rotation_under_load_loses_and_tears_nothing(
    service: Services, transport: tuple[str, ...]
) -> None:
    """8 workers, files of 100 kB, with the pipe also kills: all files together are complete."""
    limits = ("--log-max-bytes", "100000", "--log-backups", "100000")
    writers = Writers(service("writing"), *transport, *limits, workers=8)
    if transport is PIPE:
        for _ in range(8):
            writers.kill_a_worker()
            writers.kill_the_listener()
    else:
        wait_for(lambda: len(list(writers.service.log.parent.iterdir())) > 8, "8 files")
    finish(writers)
    files = list(writers.service.log.parent.glob(f"{writers.service.log.name}*"))
    assert max(file.stat().st_size for file in files) <= 100_000
    records = assert_complete(writers.returned(), numbers(writers.service.log_lines()))
    report(f"{transport[1]}: rotation under load", records=records, lost=0, files=len(files))


def rename_and_hang_up(writers: Writers, old: Path) -> None:
    """As logrotate does by default: rename, then SIGHUP."""
    log = writers.service.log
    log.rename(old)
    writers.run.send(signal.SIGHUP)
    wait_for(lambda: log.exists() and log.stat().st_size, "a new log")


def copy_and_truncate(writers: Writers, old: Path) -> None:
    """As logrotate's copytruncate does, while nobody writes; it is not safe by itself."""
    log, stopped = writers.service.log, wait_for(writers.listener, "the listener")
    kill_process(stopped, signal.SIGSTOP)
    # The signal is sent before it is taken: meanwhile a write may still be under way.
    process = psutil.Process(stopped)
    wait_for(lambda: process.status() == psutil.STATUS_STOPPED, "the listener to stand still")
    shutil.copy(log, old)
    log.write_bytes(b"")
    kill_process(stopped, signal.SIGCONT)
    wait_for(lambda: log.stat().st_size, "the log to go on")


@pytest.mark.parametrize("rotate", [rename_and_hang_up, copy_and_truncate])
def test_rotation_by_others_loses_nothing(
    service: Services, rotate: Callable[[Writers, Path], None]
) -> None:
    """The files of others and the log together are complete."""
    writers = Writers(service("writing"), *PIPE)
    first, second = writers.service.folder / "first", writers.service.folder / "second"
    rotate(writers, first)
    rotate(writers, second)
    finish(writers)
    text = first.read_text() + second.read_text() + writers.service.log_text()
    assert_complete(writers.returned(), numbers(text.splitlines()))


# --- full -----------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("make_disk", DISKS)
def test_a_full_disk_damages_no_record_and_logging_goes_on_with_space(
    service: Services, tmp_path: Path, transport: tuple[str, ...], make_disk: type[Disk]
) -> None:
    """Workers wait, then go on without the log; stderr says why; space brings the log back."""
    one = service("writing")
    with make_disk(tmp_path / "disk", 400_000) as disk:
        one.log = disk.folder / "service.log"
        writers = Writers(one, *transport, pause=0.003, preexec_fn=disk.limit)
        wait_for(disk.is_full, "a full disk")
        wait_for(lambda: list(disk.folder.glob("*.rescue")), "workers to try the rescue file")
        writers.wait_until_all_go_on(RESCUE_SECONDS * SLACK * 3)
        before = disk.make_room(one.log)
        wait_for(lambda: b"stood still" in one.log.read_bytes(), "the log to go on")
        finished = finish(writers)
        assert "cannot be written: " in finished.stderr
        found = numbers((before + one.log_text()).splitlines())
    for written in found.values():
        assert written == sorted(set(written)), "out of order or repeated"
    returned = writers.returned()
    report(f"{transport[1]}: disk full", records=sum(map(len, found.values())))
    assert all(set(found[writer]) <= set(range(1, last + 2)) for writer, last in returned.items())


# --- forked ---------------------------------------------------------------------------------

FORKS = 200


@pytest.mark.skipif("fork" not in start_methods(), reason="this platform has no fork")
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_thread_of_main_logs_while_workers_are_forked(
    service: Services, transport: tuple[str, ...]
) -> None:
    """200 forks from a process whose log is in use: no child waits for a lock that was copied."""
    one = service("forking")
    options = ("--start-method", "fork", "--workers", "4", "--max-attempts", "1", *transport)
    finished = one.run(*options)
    assert finished.code == 1, finished.stderr
    assert one.count("failed") == FORKS
    if transport is PIPE:
        log = one.log_text().partition("run ends")[0]  # what the thread logs later goes nowhere
        rescued = "".join(path.read_text() for path in one.log.parent.glob("*.rescue"))
        logged = re.findall(r"tick (\d+)\.\n", log)
        ticks = sorted(map(int, logged + re.findall(r"tick (\d+)\.\n", rescued)))
        in_time = [tick for tick in ticks if tick <= int(logged[-1])]
        assert in_time == list(range(ticks[0], int(logged[-1]) + 1))
        assert len(in_time) > FORKS
        items = re.findall(r"item (\d+)\.\n", log + rescued)
        assert sorted(map(int, items)) == list(range(FORKS))
    report(f"{transport[1]}: forks while main logs", tries=FORKS)
