"""Every example, run as a person runs it, under every start method."""

import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from .support.service import wait_for

pytestmark = pytest.mark.faults

EXAMPLES = Path(__file__).parent.parent / "examples"
NUMBER = r"\d+\.\d"

SHOWN = {
    "gil": rf"""
        the lock is (on|off); speed-up of 2 against one:
        Python code: threads {NUMBER}, processes {NUMBER}
        C code: threads {NUMBER}, processes {NUMBER}
    """,
    "process": r"""
        main is process \d+
        greeter is process \d+
        quitter is process \d+
        sleeper is process \d+
        greeter ended with exit code 0
        quitter ended with exit code 3
        sleeper ended with exit code -9
    """,
    "queue": r"""
        an object arrives as it was: \[42, None, 'hello'\]
        two workers made the squares: \[0, 1, 4, 9, 16, 25, 36, 49, 64, 81\]
    """,
    "pipe": r"""
        received until the end: \[0, 1, 2, 3, 4, 5, 6, 7, 8, 9\]
        received from a killed process: the first ones
        asked and answered: 6 times 7 is 42
    """,
    "synchronization": r"""
        Lock: 4 processes added 1000 each, that makes 4000
        RLock: its holder takes it again, five times for 5! = 120
        Semaphore: of 4 processes at most 2 were in the room for 2
        BoundedSemaphore: semaphore or lock released too many times
        Event: whoever waited saw it set, exit code 0
        Condition: two processes took turns up to 6
        Barrier: 3 processes met, in places \[0, 1, 2\]
        Lock of a killed process: can it be had\? False
    """,
    "shared_memory": r"""
        Value: 2 processes added 1000 each, that makes 2000
        Array: each wrote its part: \[0.0, 0.5, 1.0, 1.5\]
        SharedMemory: the last of 1000 numbers is now 998001
    """,
    "server_process": r"""
        Manager: \['ann', 'bob'\] signed, their ages are {'ann': 30, 'bob': 40}
        BaseManager: 3 processes counted to 3
        without the key: AuthenticationError
        without the server: ConnectionRefusedError
    """,
    "pool": r"""
        map, in order: \[0, 1, 4, 9, 16, 25, 36, 49, 64, 81\]
        imap_unordered, as they come: \[0, 1, 4, 9, 16, 25, 36, 49, 64, 81\]
        apply_async, one call: 49
        a slow item: TimeoutError
        a killed worker's item: TimeoutError
        without the __main__ guard: (RuntimeError|it ran)
    """,
    "logging_files": r"""
        worker-1 has a file of its own with 5 lines
        worker-2 has a file of its own with 5 lines
        merged by time: 10 lines, in order: True
    """,
    "logging_queue": r"""
        in peace: 100 of 100 records arrived, the worker ended
        after a kill: 0 of 100 records arrived, the worker hangs
    """,
}
"""Expected output of each example, line by line."""

LOGGED = {
    "gil": {"counted to 1500000": 6, "digesting 50000000 bytes": 6},
    "process": {r"greeter +INFO +\[-\] hello bob": 1, r"quitter +ERROR +\[-\] giving up": 1},
    "queue": {r"INFO +\[-\] \d done": 10},
    "pipe": {"sending 10 numbers": 2, "was asked '6 times 7 is'": 1},
    "synchronization": {"all are here, I was number [012]": 3},
    "shared_memory": {r"wrote places \d and \d": 2, "squared 1000 numbers": 1},
    "server_process": {r"(ann|bob) +INFO +\[-\] signed": 2, "the count is [123]": 3},
    "pool": {r"squaring \d": 21},
    "logging_files": {r"worker-[12] +INFO +\[-\] step \d": 10},
    "logging_queue": {r"worker +INFO +\[-\] step \d+": 200},
}
"""Expected lines of each example in the one log, from any process, and their number."""


def test_every_example_is_tested() -> None:
    """No example is left out here."""
    names = {path.stem.removesuffix("_example") for path in EXAMPLES.glob("*_example.py")}
    assert names == set(SHOWN) == set(LOGGED)


STRICT = ("-W", "error", "-W", "ignore:This process:DeprecationWarning")
"""All warnings but one are errors: that main has threads when it forks is as an example has it.

From Python 3.15 on os.fork() raises that one in main, while the child lives on.
"""


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_shows_and_logs_what_it_says(
    name: str, start_method: str, tmp_path: Path
) -> None:
    """It prints its lines, its processes write to the one log, and it leaves nobody behind."""
    log_file = tmp_path / "logs" / "service.log"
    options = ["--start-method", start_method, "--log-file", str(log_file)]
    process = subprocess.Popen(
        [sys.executable, *STRICT, EXAMPLES / f"{name}_example.py", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    expected = [line.strip() for line in SHOWN[name].strip().splitlines()]
    shown = stdout.splitlines()
    assert len(shown) == len(expected), stdout
    for line, pattern in zip(shown, expected, strict=True):
        assert re.fullmatch(pattern, line)
    log = log_file.read_text()
    assert {pattern: len(re.findall(pattern, log)) for pattern in LOGGED[name]} == LOGGED[name]
    wait_for(lambda: not in_session(process.pid), "the end of all its processes", 5.0)


def test_a_script_without_the_guard_cannot_start_processes(
    start_method: str, tmp_path: Path
) -> None:
    """Only fork lets it: the other methods import the script again."""
    options = ["--start-method", start_method, "--log-file", str(tmp_path / "one.log")]
    command = [sys.executable, str(EXAMPLES / "pool_example.py"), *options]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert shown.endswith("it ran\n" if start_method == "fork" else "RuntimeError\n")


@pytest.mark.parametrize("name", SHOWN)
def test_an_example_says_when_to_use_it(name: str) -> None:
    """Its docstring tells when it is right, and what it cannot survive."""
    text = (EXAMPLES / f"{name}_example.py").read_text(encoding="utf-8")
    assert "When to use" in text
    assert re.search("cannot survive|neither survives", text)


def in_session(leader: int) -> list[psutil.Process]:
    """Return the living processes of a session."""
    living: list[psutil.Process] = []
    if sys.platform != "win32":
        for process in psutil.process_iter():
            with suppress(psutil.Error, ProcessLookupError):
                if process.status() != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == leader:
                    living.append(process)
    return living
