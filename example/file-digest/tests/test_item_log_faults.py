"""An item in log and journal: its records, its output, its stack when it was killed."""

import json
from collections.abc import Callable

import pytest

from file_digest.settings import start_methods

from .support.service import Service

Services = Callable[..., Service]

needs_named_pipes = pytest.mark.skipif("sys.platform == 'win32'", reason="has no named pipes")
TRANSPORTS = pytest.mark.parametrize("transport", ["pipe", "queue"])

PRINTS = """
    import ctypes, logging, os, signal, subprocess, sys

    log = logging.getLogger(__name__)
    log.addHandler(logging.StreamHandler())

    def items(inputs):
        return ((key, key) for key in inputs)

    def work(key):
        log.info("logged by %s", key)
        print("printed by", key)
        print("to stderr by", key, file=sys.stderr)
        os.write(1, f"written by {key}\\n".encode())
        ctypes.CDLL(None).puts(f"put by {key}".encode())
        ctypes.CDLL(None).fflush(None)
        subprocess.run(["echo", f"echoed by {key}"], check=True)
        if key == "two lines":
            print(f"first of {key}\\nsecond of {key}")
        if key == "no break":
            print(f"without end of {key}", end="", flush=True)
            os.write(2, f"without end, raw, of {key}".encode())
        if key == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
"""
PRINTED = ["printed by", "to stderr by", "written by", "put by", "echoed by"]


@needs_named_pipes
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("method", start_methods())
@TRANSPORTS
def test_what_workers_print_is_in_the_log(
    service: Services, method: str, transport: str, unbuffered: str
) -> None:
    """Line by line, once, under the worker's name; an unfinished line once its worker leaves."""
    one = service(PRINTS)
    one.environment["PYTHONUNBUFFERED"] = unbuffered
    keys, arguments = ["plain", "two lines", "no break"], ["--workers", "1", "--log-format", "json"]
    finished = one.run(*keys, *arguments, "--start-method", method, "--log-transport", transport)
    records = [json.loads(line) for line in one.log_lines()]
    told = [(record["process"].split("@")[0][:6], record["message"]) for record in records]
    expected = [f"{how} {key}" for key in keys for how in PRINTED]
    expected += ["first of two lines", "second of two lines", "without end of no break"]
    expected += ["without end, raw, of no break", "logged by plain"]
    assert [text for text in expected if told.count(("worker", text)) != 1] == []
    of_items = {record["message"]: record.get("item") for record in records}
    assert of_items["printed by plain"] == "plain"
    assert "printed by" not in finished.stdout + finished.stderr
    assert finished.stderr.count("logged by plain") == 1  # by the job's own handler


@needs_named_pipes
def test_what_a_worker_printed_before_it_is_killed_is_in_the_log(service: Services) -> None:
    """Python's prints and all others, to the last."""
    one = service(PRINTS)
    assert one.run("killed", "--workers", "1", "--max-attempts", "1").code == 1
    lines = [line.partition(" [killed] ")[2] for line in one.log_lines()]
    assert [how for how in PRINTED if lines.count(f"{how} killed") != 1] == []


@needs_named_pipes
def test_what_a_worker_printed_that_never_became_ready_is_in_the_log(service: Services) -> None:
    """Killed by its set-up, or refused by it; the next one is set up well."""
    one = service(UNREADY)
    finished = one.run("killed", "refused", "--workers", "1")
    assert finished.code == 0, finished.stderr
    text = one.log_text()
    assert [text.count(f"printed before {what}") for what in ("killed", "refused")] == [1, 1]


def test_output_is_left_alone_if_wanted(service: Services) -> None:
    """It goes where main's goes, and not into the log."""
    one = service(PRINTS)
    finished = one.run("plain", "--workers", "1", "--no-capture-output")
    assert "printed by plain" in finished.stdout
    assert "printed by plain" not in one.log_text()


UNREADY = """
    import os, signal
    from contextlib import contextmanager
    from pathlib import Path

    DONE = Path(__file__).with_name("done")

    def items(inputs):
        return ((key, key) for key in inputs)

    def work(key, resource):
        return resource

    @contextmanager
    def lifespan(index):
        tried = len(DONE.read_text()) if DONE.exists() else 0
        DONE.write_text("." * (tried + 1))
        if tried == 0:
            os.write(1, b"printed before killed\\n")
            os.kill(os.getpid(), signal.SIGKILL)
        if tried == 1:
            os.write(2, b"printed before refused\\n")
            raise ValueError("not yet")
        yield tried
"""


TRAPPED = """
    import ctypes, logging, os, re, signal, time

    def items(inputs):
        yield "the-item", inputs[0]

    def deep(levels):
        return time.sleep(600) if not levels else deep(levels - 1)

    def work(trouble):
        if trouble == "sleeps": deep(2)
        if trouble == "holds the GIL": re.match(r"(a+)+$", "a" * 64 + "b")
        if trouble == "sleeps in C": ctypes.CDLL(None).sleep(600)
        if trouble == "segfaults": ctypes.string_at(0)
        if trouble == "aborts": os.abort()
        if trouble == "raises SIGBUS": signal.raise_signal(signal.SIGBUS)
        if trouble == "raises SIGFPE": signal.raise_signal(signal.SIGFPE)
        if trouble == "has left its folder":
            logging.shutdown()
            os.chdir("/")
            deep(0)
"""


@pytest.mark.skipif("sys.platform == 'win32'", reason="has none of these signals")
@pytest.mark.parametrize(
    ("trouble", "error", "frame"),
    [
        ("sleeps", "timed out after 1 s", "in deep"),
        ("holds the GIL", "timed out after 1 s", "in match"),
        ("sleeps in C", "timed out after 1 s", "in work"),
        ("segfaults", "worker died: SIGSEGV", "in string_at"),
        ("aborts", "worker died: SIGABRT", "in work"),
        ("raises SIGBUS", "worker died: SIGBUS", "in work"),
        ("raises SIGFPE", "worker died: SIGFPE", "in work"),
        ("has left its folder", "timed out after 1 s", "in deep"),
    ],
)
def test_an_item_that_is_killed_says_where_it_was(
    service: Services, trouble: str, error: str, frame: str
) -> None:
    """Its error is the reason, then its stack, in which the service's own frames are left out."""
    one = service(TRAPPED)
    finished = one.run(trouble, "--workers", "1", "--item-timeout", "1", "--max-attempts", "1")
    assert finished.code == 1, finished.stderr
    reason, _, stack = one.outcomes()["the-item"]["error"].partition("\n\n")
    assert reason == error
    frames = [line for line in stack.splitlines() if line.startswith("  File ")]
    assert frame in frames[0]
    assert "job.py" in frames[-1]
    assert "in work" in frames[-1]
    assert error in one.command("status", "--results", str(one.results)).stdout


def test_a_worker_that_is_stopped_has_no_stack_to_show(service: Services) -> None:
    """It is killed all the same, and its time limit is the whole error."""
    one = service("""
        import os, signal

        def items(inputs):
            yield "the-item", 0

        def work(_):
            os.kill(os.getpid(), signal.SIGSTOP)
    """)
    finished = one.run("--workers", "1", "--item-timeout", "1", "--max-attempts", "1")
    assert finished.code == 1, finished.stderr
    assert one.outcomes()["the-item"]["error"] == "timed out after 1 s"
