"""Every record arrives, whatever is in it, wherever it is logged, in both formats.

Each row is one record: the code that logs it, and what the log must hold of it as text and as
JSON. Rows are items of one run for each transport and format.
"""

import json
import re
from collections.abc import Callable

import pytest

from .support.service import Service

MEGABYTE = "M" * 1_000_000
FORGED = "first\\n2026-01-01 00:00:00,000 worker-1   INFO     forged record"
BOX = "\u2028".encode("unicode_escape").decode()

ROWS: list[tuple[str, str, str, str]] = [
    # what, how it is logged, what the text holds, what the JSON holds
    ("plain", "log.info('plain %s', 1)", "plain 1", "plain 1"),
    ("a megabyte", "log.info('M' * 1_000_000 + ' end')", MEGABYTE + " end", MEGABYTE + " end"),
    ("line breaks", r"log.info('a\nb\r\nc')", "a\n  | b\n  | c", "a\nb\r\nc"),
    ("forged", f"log.info('{FORGED}')", "first\n  | 2026", "first\n2026"),
    ("odd line ends", r"log.info('a\rb\x0bc\x85d')", r"a\x0db\x0bc\x85d", "a\rb\x0bc\x85d"),
    ("more of them", rf"log.info('x{BOX}y')", r"x\u2028y", "x\u2028y"),
    ("NUL and ESC", r"log.info('n\x00\x1b[31mred')", r"n\x00\x1b[31mred", "n\x00\x1b[31mred"),
    ("reordered text", r"log.info('r\u202eo')", r"r\u202eo", "r\u202eo"),
    ("surrogate", r"log.info('s\udc80t')", r"s\udc80t", "s\udc80t"),
    ("emoji", r"log.info('\U0001f600 ü')", "\U0001f600 ü", "\U0001f600 ü"),
    ("many emoji", r"log.info('\U0001f600' * 9_999)", "\U0001f600" * 9_999, "\U0001f600" * 9_999),
    ("unpicklable", "log.info('u %s', threading.Lock())", "u <unlocked _thread", "u <unlocked _th"),
    ("__str__ raises", "log.info('v %s', Unshowable())", "no text", "no text"),
    ("as message", "log.info(Unshowable())", "Unshowable (cannot be shown", "cannot be shown"),
    ("endless __str__", "log.info('e %s', Recursive())", "RecursionError", "RecursionError"),
    ("too many", "log.info('many %s', 1, 2)", "many %s [with 1, 2: TypeE", "many %s [with 1, 2"),
    ("too few", "log.info('few %s %s', 1)", "few %s %s [with 1", "few %s %s [with 1"),
    ("of another type", "log.info('type %d', 'x')", "type %d [with 'x'", "type %d [with 'x'"),
    ("a dict", "log.info('dict %(a)s', {'b': 1})", "dict %(a)s [with {'b': 1}", "dict %(a)s [with"),
    ("no text at all", "log.info(None)", "None", "None"),
    ("extra", "log.info('e1', extra={'where': 'here'})", "e1", "here"),
    ("extra lock", "log.info('e2', extra={'x': threading.Lock()})", "e2", "e2"),
    ("extra enum", "log.info('e3', extra={'x': Colour.RED})", "e3", "e3"),
    ("extra text", "log.info('e4', extra={'x': Locked('l')})", "e4", "e4"),
    ("extra unshowable", "log.info('e5', extra={'x': Unshowable()})", "e5", "e5"),
    ("extra loop", "x = []; x.append(x); log.info('e6', extra={'x': x})", "e6", "e6"),
    ("extra keys", "log.info('e7', extra={'x': {(1, 2): 3}})", "e7", "e7"),
    ("traceback", "fail(ValueError('bad\\nvalue'))", "ValueError: bad\n  | value", "bad\nvalue"),
    ("bad traceback", "fail(UnspeakableError())", "it failed", "it failed"),
    ("stack", "log.info('st', stack_info=True)", "st\n  | Stack (most", "Stack (most"),
    ("no exception", "log.info('nx', exc_info=True)", "nx\n  | NoneType: None", "NoneType: None"),
    ("warning", "warnings.warn('look out')", "UserWarning: look out", "UserWarning: look out"),
    ("thread", "in_thread(lambda: log.info('from a thread'))", "from a thread", "from a thread"),
    ("child", "in_child(lambda: log.info('of a child'))", "of a child", "of a child"),
    ("at the end", "at_exit(lambda: log.info('at exit'))", "at exit", "at exit"),
]  # fmt: skip
NAMES = [what for what, *_ in ROWS]
QUEUE_CANNOT = {"child"}
"""Of what a forked child logs, the queue's thread is left behind in the parent."""


def run_rows(service: Callable[..., Service], *options: str) -> Service:
    """Run all rows to the end."""
    one = service("records")
    rows = one.folder / "rows"
    rows.write_text("".join(f"{what}: {code}\n" for what, code, *_ in ROWS), encoding="utf-8")
    finished = one.run(str(rows), "--workers", "2", *options)
    assert finished.code == 0, finished.stderr
    assert one.count() == len(ROWS)
    assert "Traceback" not in finished.stderr, finished.stderr
    assert list(one.log.parent.iterdir()) == [one.log]
    return one


def missing(found: Callable[[str, str], bool]) -> set[str]:
    """Return the rows of which nothing is in the log."""
    return {what for what, _, text, structured in ROWS if not found(text, structured)}


@pytest.mark.parametrize(("transport", "lost"), [("pipe", set()), ("queue", QUEUE_CANNOT)])
def test_the_text_log_holds_every_record(
    service: Callable[..., Service], transport: str, lost: set[str]
) -> None:
    """Each is there, its own line breaks are marked, and no line is a forged record."""
    one = run_rows(service, "--log-transport", transport)
    log = one.log.read_bytes().decode()
    assert missing(lambda text, _: text in log) <= lost
    for line in log.split("\n")[:-1]:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \S+ +[A-Z]+ |  \| ", line), line
        assert line.isprintable() or "\t" in line
    assert len(re.findall(r"^.*forged record$", log, re.MULTILINE)) == 1


@pytest.mark.parametrize(("transport", "lost"), [("pipe", set()), ("queue", QUEUE_CANNOT)])
def test_the_json_log_holds_every_record(
    service: Callable[..., Service], transport: str, lost: set[str]
) -> None:
    """Each line is one object; each record's text is in one of its fields as it was logged."""
    one = run_rows(service, "--log-transport", transport, "--log-format", "json")
    lines = one.log.read_bytes().decode().split("\n")[:-1]
    texts = ["\0".join(map(str, json.loads(line).values())) for line in lines]
    assert missing(lambda _, text: any(text in each for each in texts)) <= lost
