"""SIGTTIN and SIGTTOU, which ask for more workers or fewer, at any moment."""

import json
import re
import signal
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from .support.service import Run, Service, report, wait_for

pytest.importorskip("fcntl", reason="these signals are those of POSIX")
assert sys.platform != "win32"
import resource  # noqa: E402 - not on Windows

Services = Callable[..., Service]

MORE, LESS, STACKS = signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1
TOLD = re.compile(r"number of workers: (\d+) from now on, (\d+) before; it can be 1 to 1,000")
SHORT, GATED = "time.sleep(0.02)", "await_gate()"


def notes(one: Service, what: str) -> list[int]:
    """Return the places whose lifespans went ``up`` or ``down``, or where an item ``began``."""
    path = one.folder / "notes"
    text = path.read_text() if path.exists() else ""
    return [int(place) for place in re.findall(rf"^{what} (\d+)$", text, re.MULTILINE)]


def await_status(one: Service, count: int) -> None:
    """Wait until ``status`` shows so many workers."""

    def shown() -> int:
        shown = one.command("status", "--json", "--results", str(one.results)).stdout
        live: Any = json.loads(shown)["live"] if shown else None
        return len(live["workers"]) if live else 0

    wait_for(lambda: shown() == count, f"{count} workers in status")


def start(service: Services, code: str, items: int, *options: str, **others: Any) -> Run:
    """Begin a run of two workers; return once both are at an item."""
    run = service("at_run_time").start(code, str(items), "--workers", "2", *options, **others)
    wait_for(lambda: {*notes(run.service, "began")} == {0, 1}, "both workers to be at work")
    return run


def ask(run: Run, number: int) -> tuple[int, int]:
    """Send a signal; return how many workers there are now, and were before, as the log tells."""
    before = len(TOLD.findall(run.service.log_text()))
    run.send(number)
    wait_for(lambda: len(TOLD.findall(run.service.log_text())) > before, "a line of the log")
    now, then = TOLD.findall(run.service.log_text())[-1]
    return int(now), int(then)


ASKED = [
    ("one more", [MORE], [3]),
    ("one less", [LESS], [1]),
    ("never less than one", [LESS, LESS], [1, 1]),
    ("one less, and one more", [LESS, MORE], [1, 2]),
    ("two more, and three less", [MORE, MORE, LESS, LESS, LESS], [3, 4, 3, 2, 1]),
]


@pytest.mark.parametrize(("what", "asked", "expected"), ASKED, ids=[row[0] for row in ASKED])
def test_workers_are_added_and_taken_away(
    service: Services, start_method: str, what: str, asked: list[int], expected: list[int]
) -> None:
    """One line for each, ``status`` shows as many; places are 0 to N-1; no item is done twice."""
    run = start(service, SHORT, 100_000, "--start-method", start_method)
    one, before = run.service, 2
    for number, count in zip(asked, expected, strict=True):
        assert ask(run, number) == (count, before)
        before = count
        await_status(one, count)
    assert {*notes(one, "up")} == {*range(max(2, *expected))}
    left = {place for place in notes(one, "up") if place >= expected[-1]}
    assert {*notes(one, "down")} >= left
    begun = one.count()
    wait_for(lambda: one.count() > begun, "the rest to go on")
    run.send(signal.SIGTERM)
    assert run.wait().code == 143
    assert run.wait_until_gone(2) < 8
    assert {(row["status"], row["attempts"]) for row in one.outcomes().values()} == {("done", 1)}
    assert " is gone: " not in one.log_text()
    report(f"{what}, {start_method}", tries=1)


def test_a_worker_that_is_to_leave_finishes_what_it_holds(service: Services) -> None:
    """It gets nothing more, its teardown runs, and others do what waited behind its item."""
    run = start(service, GATED, 20)
    one = run.service
    assert ask(run, LESS) == (1, 2)
    assert "has left" not in one.log_text()
    (one.folder / "gate").touch()
    assert run.wait().code == 0
    assert {(row["status"], row["attempts"]) for row in one.outcomes().values()} == {("done", 1)}
    assert one.count() == 20
    assert notes(one, "began").count(1) == 1
    assert sorted(notes(one, "down")) == [0, 1]


def test_a_worker_whose_place_is_wanted_again_stays(service: Services) -> None:
    """As long as it is at its item, nobody is started in its place."""
    run = start(service, GATED, 20)
    assert [ask(run, number)[0] for number in (LESS, MORE)] == [1, 2]
    (run.service.folder / "gate").touch()
    assert run.wait().code == 0
    assert run.service.count() == 20
    assert sorted(notes(run.service, "up")) == [0, 1]


def test_a_teardown_that_hangs_is_ended_after_the_grace_period(service: Services) -> None:
    """The worker that leaves is killed then; the others go on meanwhile."""
    one = service("at_run_time")
    one.append("time.sleep = lambda seconds, sleep=time.sleep: sleep(seconds)")
    job = one.package / "job.py"
    job.write_text(job.read_text().replace('note("down", index)', "time.sleep(1_000 * index)"))
    run = start(lambda _: one, SHORT, 100_000, "--grace", "1")
    assert ask(run, LESS) == (1, 2)
    wait_for(lambda: "lifespan() did not end within the grace period" in one.log_text(), "its end")
    await_status(one, 1)
    run.send(signal.SIGTERM)
    assert run.wait().code == 143
    assert run.wait_until_gone(2) < 8
    assert not one.count("failed")


def test_an_idle_service_has_its_new_worker_at_once(service: Services) -> None:
    """Although there is nothing to do; and it loses one as soon."""
    run = start(service, SHORT, 20, "--poll", "600")
    one = run.service
    wait_for(lambda: one.count() == 20, "all items")
    for number, count in ((MORE, 3), (LESS, 2), (LESS, 1)):
        assert ask(run, number)[0] == count
        await_status(one, count)
    run.send(signal.SIGTERM)
    assert run.wait().code == 143


def test_recycled_workers_keep_their_places_meanwhile(service: Services) -> None:
    """Successors and workers that are too many are not mixed up, however often both come."""
    run = start(service, SHORT, 120, "--recycle-after", "20")
    for number in (LESS, MORE, MORE, LESS, MORE, LESS):
        ask(run, number)
    finished = run.wait()
    assert (finished.code, run.service.count()) == (0, 120), finished.stderr
    outcomes = run.service.outcomes().values()
    assert {(row["status"], row["attempts"]) for row in outcomes} == {("done", 1)}
    assert {*notes(run.service, "up")} <= {0, 1, 2}
    assert not Counter(notes(run.service, "down")) - Counter(notes(run.service, "up"))


if sys.platform == "linux":

    def test_too_few_descriptors_for_one_more(service: Services) -> None:
        """The number stays, which one line tells, and the run goes on."""
        run = start(service, SHORT, 100_000)
        few = psutil.Process(run.process.pid).num_fds() + 20
        resource.prlimit(run.process.pid, resource.RLIMIT_NOFILE, (few, few))
        run.send(MORE)
        text = "the number of workers stays: Too many open files: --workers 3 needs about"
        wait_for(lambda: text in run.service.log_text(), "the line")
        begun = run.service.count()
        wait_for(lambda: run.service.count() > begun, "the rest to go on")
        run.send(signal.SIGTERM)
        assert run.wait().code == 143


@pytest.mark.parametrize("number", [MORE, LESS, STACKS], ids=["SIGTTIN", "SIGTTOU", "SIGUSR1"])
def test_a_signal_while_it_starts_does_no_harm(service: Services, number: int) -> None:
    """As soon as its first line runs: the number of workers changes once there are some."""
    one = service("at_run_time")
    begun, first = one.folder / "begun", one.package / "cli" / "app.py"
    first.write_text(f"open({str(begun)!r}, 'w').close()\n{first.read_text()}")
    run = one.start(SHORT, "200", "--workers", "2")
    wait_for(begun.exists, "the first line")
    run.send(number)
    finished = run.wait()
    assert (finished.code, one.count()) == (0, 200), finished.stderr
    told = {MORE: "number of workers: 3", LESS: "number of workers: 1", STACKS: "run ends"}
    assert told[signal.Signals(number)] in one.log_text()


ENDS = [
    ("stopped", [], signal.SIGTERM, 143),
    ("halted", ["--max-failures", "1"], None, 5),
]


@pytest.mark.parametrize(("how", "options", "end", "code"), ENDS, ids=[row[0] for row in ENDS])
def test_signals_while_it_ends_do_no_harm(
    service: Services, how: str, options: list[str], end: int | None, code: int
) -> None:
    """Running items finish, nothing new begins, nobody is started, the exit code is the same."""
    failing = f"{GATED}; open(FOLDER / 'one', 'x').close(); 1 / 0" if end is None else GATED
    run = start(service, failing, 100, *options)
    one = run.service
    if end:
        run.send(end)
        wait_for(lambda: "stopping: " in one.log_text(), "the request to be seen")
    else:
        (one.folder / "gate").touch()
    for number in (MORE, LESS, STACKS, MORE):
        run.send(number)
    (one.folder / "gate").touch()
    assert run.wait().code == code
    assert run.wait_until_gone(2) < 8
    assert {*notes(one, "up")} <= {0, 1, 2}
    report(f"signals while it is {how}", tries=1)


def test_where_there_are_no_workers_one_line_says_so(service: Services) -> None:
    """With ``--workers 0``."""
    one = service("at_run_time")
    run = one.start(f"{GATED}; time.sleep(0.1)", "10", "--workers", "0")
    wait_for(lambda: notes(one, "began"), "an item to begin")
    run.send(MORE)
    (one.folder / "gate").touch()
    assert run.wait().code == 0
    assert "the number of workers stays: --workers 0 has none" in one.log_text()


TERMINAL = """
import fcntl, os, pty, signal, subprocess, sys, termios

def show(*words):
    print("shell:", *words, file=sys.stderr, flush=True)

ours, theirs = pty.openpty()
fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
if "tostop" in sys.argv[1]:
    modes = termios.tcgetattr(theirs)
    modes[3] |= termios.TOSTOP
    termios.tcsetattr(theirs, termios.TCSANOW, modes)
screen = theirs if "tostop" in sys.argv[1] else None
job = subprocess.Popen(
    sys.argv[2:], stdin=theirs, stderr=screen, process_group=0,
    preexec_fn=lambda: signal.signal(signal.SIGTTOU, signal.SIG_DFL),
)
_, status = os.waitpid(job.pid, os.WUNTRACED)
show(signal.Signals(os.WSTOPSIG(status)).name if os.WIFSTOPPED(status) else status)
os.tcsetpgrp(theirs, job.pid)
os.killpg(job.pid, signal.SIGCONT)
os.write(ours, b"word\\n")
_, status = os.waitpid(job.pid, 0)
show(os.waitstatus_to_exitcode(status))
"""
READS = """
    import sys, time

    def items(inputs):
        yield sys.stdin.readline().strip(), 1

    def work(payload):
        time.sleep(0.1)
"""
JOBS = [
    ("reads", "", "SIGTTIN"),
    ("writes after stty tostop", "tostop", "SIGTTOU"),
]


@pytest.mark.parametrize(("what", "modes", "stop"), JOBS, ids=[row[0] for row in JOBS])
def test_a_terminal_stops_a_job_in_the_background(
    service: Services, what: str, modes: str, stop: str
) -> None:
    """As ever: the shell sees it stopped, fg has it go on, and no worker came or went."""
    job = READS if stop == "SIGTTIN" else READS.replace("sys.stdin.readline().strip()", '"word"')
    one = service(job)
    options = {"prefix": [sys.executable, "-c", TERMINAL, modes, sys.executable]}
    finished = one.start("--workers", "2", "--progress", **options).wait()
    assert re.findall(r"^shell: (.*)$", finished.stderr, re.MULTILINE) == [stop, "0"]
    assert list(one.outcomes()) == ["word"]
    assert not TOLD.search(one.log_text())
    report(f"a job in the background {what}", tries=1, seconds=finished.seconds)
