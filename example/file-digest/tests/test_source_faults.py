"""``items()`` that fails, refuses, or yields odd values: tables of real code, and the outcomes."""

import signal
import time
from collections.abc import Callable

import pytest

from .support.faulty import Services
from .support.service import PACKAGE, SLACK, report, wait_for

WORK = """
    def work(payload):
        return payload
"""
NAMED = "items() must yield (str key, payload) tuples, but it gave "
RETURNED = "items() must return an iterable of (str key, payload) tuples, but it returned "

REFUSALS = [
    ("a file that is not there", "open('no-such-file')", "no-such-file: No such file or directory"),
    ("ValueError of its own", "raise ValueError('not\\nthese')", "not these"),
    ("ValueError after if", "if inputs: raise ValueError('not these')", "not these"),
    ("OSError of its own", "raise OSError('no luck')", "no luck"),
]


@pytest.mark.parametrize("after", ["", "yield 'key', 0"], ids=["function", "generator"])
@pytest.mark.parametrize(("what", "code", "says"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_items_refuses_its_inputs(
    service: Services, what: str, code: str, says: str, after: str
) -> None:
    """An error that the job itself raises about its inputs is one line, exit 2, nothing touched.

    A generator says it when its first item is asked for.
    """
    one = service(f"""
    def items(inputs):
        {code}
        {after}
{WORK}""")
    finished = one.run("input")
    assert (finished.code, finished.stderr) == (2, f"Error: {says}\n"), what
    assert not one.results.exists()
    assert not one.log.exists()


def test_a_generator_refuses_late(service: Services) -> None:
    """Main waits for the first item half a second at most; the exit code is the same later."""
    one = service(f"""
    import os, time

    def items(inputs):
        while not os.path.exists('results.db'):
            time.sleep(0.01)
        raise ValueError("not these")
        yield
{WORK}""")
    finished = one.run("input")
    assert (finished.code, finished.stderr) == (2, "Error: not these\n")
    assert "items() raised" in one.log_text()


FAILURES = [
    ("RuntimeError", "raise RuntimeError('not\\ntoday')", "items() raised RuntimeError: not ("),
    ("ValueError of a bug", "int('x')", "ValueError: invalid literal for int() with base 10: 'x'"),
    (
        "ValueError of a library",
        "import json; json.loads('{')",
        "items() raised json.decoder.JSONDecodeError",
    ),
    ("no connection", "import socket; socket.create_connection(('127.0.0.1', 9))", "Refused"),
    ("StopIteration", "raise StopIteration", "StopIteration"),
    ("GeneratorExit", "raise GeneratorExit", "items() raised GeneratorExit ("),
    ("SystemExit", "raise SystemExit('bye')", "items() raised SystemExit: bye ("),
    ("KeyboardInterrupt", "raise KeyboardInterrupt", "items() raised KeyboardInterrupt ("),
    (
        "an error without a text",
        "raise type('Odd', (ValueError,), {'__str__': lambda self: 1 / 0})",
        f"items() raised {PACKAGE}.job.Odd (",
    ),
]


@pytest.mark.parametrize("before", ["", "yield 'first', 0"], ids=["at its call", "in the middle"])
@pytest.mark.parametrize(("what", "code", "says"), FAILURES, ids=[row[0] for row in FAILURES])
def test_items_raises(service: Services, what: str, code: str, says: str, before: str) -> None:
    """A failed source is one line that names the place, its traceback in the log, exit code 4.

    What was yielded before is done.
    """
    one = service(f"""
    def items(inputs):
        {before or "pass"}
        {code}
{WORK}""")
    finished = one.run()
    assert (finished.code, one.count()) == (4, len(before and "1"))
    *progress, line = finished.stderr.splitlines()
    assert all("done, 0 failed" in shown for shown in progress)
    assert line.startswith("Error: items() raised ")
    assert says in line
    assert line.endswith("(job.py, line 4)") or what == "StopIteration"
    assert "Traceback" in one.log_text()
    moment = "in the middle" if before else "at its call"
    report(f"items() raises {what} {moment}", tries=1, seconds=finished.seconds)


ODD_ITEMS = [
    ("returns None", "pass", f"{RETURNED}None"),
    ("returns a str", "return 'abc'", f"{RETURNED}'abc'"),
    ("returns a dict", "return {'key': 1}", RETURNED + "{'key': 1}"),
    ("returns a number", "return 5", f"{RETURNED}5"),
    ("yields None", "yield None", f"{NAMED}None"),
    ("yields a number for a key", "yield 1, 2", f"{NAMED}(1, 2)"),
    (
        "yields what cannot be shown",
        "yield type('Odd', (), {'__repr__': lambda self: exit(3)})()",
        f"{NAMED}Odd (cannot be shown: SystemExit)",
    ),
]


@pytest.mark.parametrize(("what", "code", "says"), ODD_ITEMS, ids=[row[0] for row in ODD_ITEMS])
def test_items_breaks_its_contract(service: Services, what: str, code: str, says: str) -> None:
    """One line says what it must return, and what it did; exit code 4."""
    one = service(f"""
    def items(inputs):
        {code}
{WORK}""")
    finished = one.run()
    *progress, line = finished.stderr.splitlines()
    assert (finished.code, line) == (4, f"Error: {says}"), what
    assert all("0 done, 0 failed" in shown for shown in progress)
    assert says in one.log_text()


@pytest.mark.parametrize(("what", "says"), [("asyncgen", "yield 'a', 1"), ("coroutine", "pass")])
def test_items_is_async(service: Services, what: str, says: str) -> None:
    """An async items() is refused in one line, not awaited, and nothing complains of that."""
    one = service(f"""
    async def items(inputs):
        {says}
{WORK}""")
    finished = one.run()
    assert finished.code == 4
    (line,) = finished.stderr.splitlines()
    assert line.startswith(f"Error: {RETURNED}<{'async_generator' if what[0] == 'a' else what}")


def test_a_generator_raises_at_its_end(service: Services) -> None:
    """An error that a generator raises when it is closed early is logged, and changes nothing."""
    one = service(f"""
    def items(inputs):
        try:
            yield from ((str(n), n) for n in range(100_000))
        finally:
            raise RuntimeError("no good end")
{WORK}""")
    finished = one.run("--limit", "5")
    assert (finished.code, finished.stderr, one.count()) == (0, "", 5)
    assert "items() raised at its end:" in one.log_text()
    assert "RuntimeError: no good end" in one.log_text()


def test_no_items(service: Services) -> None:
    """An items() that yields nothing is a run with nothing to do."""
    finished = service("echo").run("0")
    assert (finished.code, finished.stderr) == (0, "")
    assert "nothing to do" in finished.stdout


REUSED = [
    ("a dict", "{}", "row['n'] = n", "row['n']"),
    ("a list", "[0]", "row[0] = n", "row[0]"),
    ("a bytearray", "bytearray(1)", "row[0] = n", "row[0]"),
    ("an object", "SimpleNamespace()", "row.n = n", "row.n"),
    ("a list deep inside", "({'a': [0]},)", "row[0]['a'][0] = n", "row[0]['a'][0]"),
    ("an array", "array('q', [0])", "row[0] = n", "row[0]"),
]


@pytest.mark.parametrize(
    ("what", "new", "fill", "read"), REUSED, ids=[f"{row[0]}" for row in REUSED]
)
def test_payload_is_filled_anew(
    service: Services, what: str, new: str, fill: str, read: str
) -> None:
    """One object that items() fills anew for each item is each time what it was when yielded."""
    one = service(f"""
    from array import array
    from types import SimpleNamespace

    def items(inputs):
        row = {new}
        for n in range(200):
            {fill}
            yield str(n), row

    def work(row):
        return {read}
    """)
    finished = one.run("--workers", "2")
    assert finished.code == 0
    assert {key: row["result"] for key, row in one.outcomes().items()} == {
        str(n): str(n) for n in range(200)
    }
    report(f"payload filled anew: {what}", tries=200, seconds=finished.seconds)


def test_items_has_one_thread(service: Services) -> None:
    """The call and the reading share a thread, so a database cursor works; so does asyncio.run."""
    one = service("one_thread")
    assert one.run("--workers", "1").code == 0
    assert [one.result(str(n)) for n in (1, 2, 3)] == [["source", "source"]] * 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_while_items_is_called(service: Services, number: int, code: int) -> None:
    """A signal ends a call that does not come back, at once; nothing was touched."""
    one = service("endless_call")
    run = one.start()
    wait_for((one.folder / "called").exists, "the call")
    began = time.monotonic()
    run.send(number)
    finished = run.wait()
    took = time.monotonic() - began
    assert (finished.code, finished.stdout, finished.stderr) == (code, "", "")
    assert took < SLACK * 2
    assert not one.results.exists()
    assert not one.log.exists()
    report("stopped while items() is called", tries=1, seconds=took)


KEYS: list[tuple[str, str, Callable[[str], bool]]] = [
    ("empty", "''", lambda key: key == ""),
    ("with NUL", "'a\\0b'", lambda key: key == "a\0b"),
    ("a million characters long", "'k' * 1_000_000", lambda key: key == "k" * 1_000_000),
    ("of a class of its own", "type('Key', (str,), {})('k')", lambda key: key == "k"),
    ("a member of an enum", "enum.Enum('Key', {'A': 'k'}, type=str).A", lambda key: key == "k"),
]


@pytest.mark.parametrize(("what", "code", "is_right"), KEYS, ids=[row[0] for row in KEYS])
def test_odd_key(service: Services, what: str, code: str, is_right: Callable[[str], bool]) -> None:
    """Any str is a key: it has one outcome, and the next run knows it."""
    one = service(f"""
    import enum

    def items(inputs):
        yield {code}, 1
        yield "other", 2
{WORK}""")
    assert one.run().code == 0, what
    assert sorted(map(is_right, one.outcomes())) == [False, True]
    assert "nothing to do" in one.run().stdout


@pytest.mark.parametrize("apart", [0, 20_000], ids=["close together", "far apart"])
def test_key_is_yielded_twice(service: Services, apart: int) -> None:
    """One outcome, counted once; the log names the key, and the summary says how many."""
    one = service(f"""
    def items(inputs):
        yield "twice", 1
        yield from ((str(n), n) for n in range({apart}))
        yield "twice", 2
{WORK}""")
    finished = one.run("--workers", "2")
    assert finished.code == 0
    assert f"{apart + 1} done, 0 failed" in finished.stdout
    assert "yielded twice: 1;" in finished.stdout
    assert one.count() == apart + 1
    assert one.log_text().count("key twice was yielded twice") == 1
