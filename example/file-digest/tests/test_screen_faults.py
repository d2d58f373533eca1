"""Screens that are slow, full, closed or poor in characters: no run is the worse for it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from file_digest.results.reading import summarize

from .support.service import PACKAGE, Service, wait_for

pty = pytest.importorskip("pty", reason="these terminals are those of POSIX")
fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
assert sys.platform != "win32"

Services = Callable[..., Service]
Screen = tuple[int, Callable[[], str]]
"""A descriptor to write to, and what says what came out there."""


@contextmanager
def nobody_reads() -> Iterator[Screen]:
    """A pipe whose reader has left: EPIPE."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer, lambda: ""
    os.close(writer)


@contextmanager
def full(*, blocking: bool) -> Iterator[Screen]:
    """A pipe that is full, and stays so."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 512)
    os.set_blocking(writer, blocking)
    yield writer, lambda: ""
    os.close(writer)
    os.close(reader)


@contextmanager
def hung_up() -> Iterator[Screen]:
    """A terminal whose window was closed: EIO."""
    terminal, end = pty.openpty()
    os.close(terminal)
    yield end, lambda: ""
    os.close(end)


@contextmanager
def full_disk() -> Iterator[Screen]:
    """ENOSPC; on macOS, which has no such device, EBADF."""
    name, how = ("/dev/full", os.O_WRONLY) if Path("/dev/full").exists() else ("/dev/null", 0)
    descriptor = os.open(name, how)
    yield descriptor, lambda: ""
    os.close(descriptor)


@contextmanager
def slow_terminal() -> Iterator[Screen]:
    """One that does not block, takes little at once, and is read by and by."""
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, b"\x18\x00\x50\x00\x00\x00\x00\x00")
    os.set_blocking(end, False)
    seen: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # its end
            while data := os.read(terminal, 100):
                seen.append(data)
                time.sleep(0.001)

    reader = Thread(target=read)
    reader.start()
    yield end, lambda: b"".join(seen).decode()
    os.close(end)
    reader.join()
    os.close(terminal)


SCREENS = {
    "nobody reads": ("printing", nobody_reads),
    "full, does not block": ("printing", lambda: full(blocking=False)),
    "full, blocks": ("napping", lambda: full(blocking=True)),
    "hung up": ("printing", hung_up),
    "full disk": ("printing", full_disk),
    "slow terminal": ("printing", slow_terminal),
}
NAPS = ("30", "0.02")
RUN = ("run", "--verbose", "--workers", "2")


@pytest.mark.parametrize("which", ["stdout", "stderr", "both"])
@pytest.mark.parametrize("screen", SCREENS)
def test_no_screen_changes_a_run(service: Services, screen: str, which: str) -> None:
    """Whatever becomes of what is shown: each item is done, and the exit code tells just that."""
    job, make = SCREENS[screen]
    one, naps = service(job), NAPS if job == "napping" else ()
    with make() as (descriptor, seen):
        stdout = subprocess.DEVNULL if which == "stderr" else descriptor
        stderr = subprocess.PIPE if which == "stdout" else descriptor
        code, errors = _finish(_start(one, stdout, stderr, *RUN, *naps, "--progress"))
        summary = summarize(one.results)
    assert code == bool(summary.failed), errors
    assert (summary.done, summary.failed) == ((30, 0) if naps else (5, 1))
    assert "Traceback" not in errors + seen()


def test_a_slow_terminal_gets_everything(service: Services) -> None:
    """The bar and the last lines arrive whole, however slowly they are read."""
    one = service("napping")
    with slow_terminal() as (descriptor, seen):
        code, _ = _finish(_start(one, descriptor, descriptor, *RUN, *NAPS))
        wait_for(lambda: "log: " in seen(), "the last line")
        assert code == 0
        assert "30/?" in seen()
        assert re.search(r"30 done, 0 failed in .* s \(.* items/s\)", seen())


def test_a_terminal_that_is_closed_in_the_middle(service: Services) -> None:
    """Its hangup reopens the log, and that is all."""
    one = service("napping")
    terminal, end = pty.openpty()
    process = _start(one, end, end, *RUN, *NAPS)
    os.close(end)
    wait_for(lambda: one.count() > 2, "the first outcomes")
    os.close(terminal)
    code, _ = _finish(process)
    assert (code, one.count()) == (0, 30)


def test_a_person_who_stops_the_output_does_not_stop_the_run(service: Services) -> None:
    """Ctrl-S on a terminal: the run goes on and ends."""
    one = service("napping")
    terminal, end = pty.openpty()
    termios.tcflow(end, termios.TCOOFF)
    code, _ = _finish(_start(one, end, end, *RUN, *NAPS))
    os.close(end)
    os.close(terminal)
    assert (code, one.count()) == (0, 30)


ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "cp1252": {"PYTHONIOENCODING": "cp1252"},
    "latin-1": {"PYTHONIOENCODING": "latin-1:strict"},
    "utf-8": {"PYTHONIOENCODING": "utf-8:strict"},
    "no locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "unbuffered": {"PYTHONIOENCODING": "cp1252", "PYTHONUNBUFFERED": "1"},
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_the_encoding_lacks_is_escaped(service: Services, encoding: str) -> None:
    """print() in items() and work(), notes, the bar, status: nothing raises, nothing is lost."""
    one = service("printing")
    one.environment |= ENCODINGS[encoding]
    finished = one.run("--verbose", "--workers", "2", errors="replace")
    assert (finished.code, one.count(), one.count("failed")) == (1, 5, 1), finished.stderr
    assert "Traceback" not in finished.stderr
    assert "5 done, 1 failed" in finished.stdout
    status = one.command("status", "--results", str(one.results), errors="replace")
    assert (status.code, status.stderr) == (0, "")
    assert "\x1b" not in status.stdout
    assert re.search(r"1 x ValueError: bad (€|\\u20ac|\ufffd) \\x1b\[31m", status.stdout)


@pytest.mark.parametrize("terminal", ["dumb", "xterm", "unknown"])
def test_ctrl_c_on_a_terminal_without_unicode(service: Services, terminal: str) -> None:
    """The bar is drawn in ASCII, the note and the last lines come, exit 130."""
    one = service("napping")
    one.environment |= {"PYTHONIOENCODING": "ascii", "TERM": terminal}
    with slow_terminal() as (descriptor, seen):
        process = _start(one, descriptor, descriptor, *RUN, "3000", "0.02")
        wait_for(lambda: one.count() > 2, "the first outcomes")
        process.send_signal(signal.SIGINT)
        code, _ = _finish(process)
        wait_for(lambda: "log: " in seen(), "the last line")
        assert code == 130
        assert seen().isascii()
        assert "stopping: running items may take" in seen()


TAKEN = {
    "closes them": "sys.stdout.close(); sys.stderr.close()",
    "closes their descriptors": "os.close(1); os.close(2)",
    "puts something else there": "sys.stdout = sys.stderr = object()",
    "redirects them": "sys.stdout = sys.stderr = io.StringIO()",
    "has none": "sys.stdout = sys.stderr = None",
    "detaches it": "sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding='utf-8')",
    "wraps it for a while": "io.TextIOWrapper(sys.stdout.buffer); gc.collect(); print('more')",
    "gives it a poor encoding": "sys.stdout.reconfigure(encoding='ascii'); print('\u20ac')",
}


@pytest.mark.parametrize("where", ["import", "items", "work"])
@pytest.mark.parametrize("taken", TAKEN)
def test_a_job_that_takes_the_screen_away(service: Services, taken: str, where: str) -> None:
    """Our own lines do not depend on what the job puts into sys, and nothing ends by it."""
    one = service("taking_the_screen")
    one.environment[f"{'AT' if where == 'import' else 'IN'}_{where.upper()}"] = TAKEN[taken]
    finished = one.run("--workers", "2", "--progress")
    assert (finished.code, one.count()) == (0, 10), finished.stderr
    if "descriptors" not in taken or where == "work":
        assert "10 done, 0 failed" in finished.stdout


def test_a_job_that_sets_sigpipe_as_scripts_do(service: Services) -> None:
    """Neither a screen that is gone nor a worker ends main."""
    one = service("taking_the_screen")
    one.environment["AT_IMPORT"] = "signal.signal(signal.SIGPIPE, signal.SIG_DFL)"
    one.environment["IN_WORK"] = "logging.basicConfig(); logging.warning('on the screen, too')"
    with nobody_reads() as (descriptor, _):
        code, _ = _finish(_start(one, descriptor, descriptor, *RUN))
    assert (code, one.count()) == (0, 10)


CLOSED = {
    "run": ("run --verbose -- ", 1),
    "run, no progress": ("run --no-progress", 1),
    "status": ("status", 0),
    "help": ("--help", 0),
    "version": ("--version", 0),
    "timeline": ("timeline --html page.html --log-file logs/service.log", 0),
    "a wrong option": ("run --wrokers 2", 2),
}
REDIRECTIONS = [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "| true", "2>&1 | true", "2>/dev/full"]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Return a service with a journal of five items that are done and one that failed."""
    one = Service(tmp_path_factory.mktemp("printed") / "service", "printing")
    assert one.run().code == 1
    return one


@pytest.mark.parametrize("redirection", REDIRECTIONS)
@pytest.mark.parametrize("command", CLOSED)
def test_streams_that_are_closed(printed: Service, command: str, redirection: str) -> None:
    """The exit code is the same as on a terminal; there is no traceback, nor Python's own 120."""
    if "/dev/full" in redirection and not Path("/dev/full").exists():
        redirection = "2>&-"
    line, expected = CLOSED[command]
    shell = f"set -o pipefail; '{sys.executable}' -m {PACKAGE} {line} {redirection}"
    finished = subprocess.run(
        ["bash", "-c", shell],
        cwd=printed.folder,
        env=printed.environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert finished.returncode == expected, finished.stderr
    assert "Traceback" not in finished.stderr
    assert "Exception ignored" not in finished.stderr


def _start(one: Service, stdout: int, stderr: int, *arguments: str) -> subprocess.Popen[str]:
    files = ("--results", str(one.results), "--log-file", str(one.log))
    return subprocess.Popen(
        [sys.executable, "-m", PACKAGE, *arguments, *files],
        cwd=one.folder,
        env=one.environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        text=True,
        errors="replace",
    )


def _finish(process: subprocess.Popen[str], seconds: float = 60.0) -> tuple[int, str]:
    """Return the exit code, and what came out on standard error."""
    try:
        _, errors = process.communicate(timeout=seconds)
    finally:
        process.kill()
        process.wait()
    return process.returncode, errors or ""
