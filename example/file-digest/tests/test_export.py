"""Export: complete files or none, and readers that leave early."""

import csv
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from file_digest.items.messages import DONE, FAILED, Outcome
from file_digest.results import export, reading
from file_digest.results.database import JournalError
from file_digest.results.journal import Journal
from file_digest.system.files import replacing

from .support.service import PACKAGE, Service, wait_for

OUTCOMES = [
    Outcome("plain", DONE, '{"a": [1, 2.5, null]}', None, 1, "worker-1", 1.5, 0.25),
    Outcome("carriage\rreturn", DONE, "1", None, 1, "worker-1", 2.0, 0.25),
    Outcome('comma, "quote"\nline', FAILED, None, "Error: é ☕", 3, "worker-2", 2.5, 0.5),
]


def write(results: Path, form: str, output: Path) -> list[tuple[str, str]]:
    """Export a journal; return what was said to be damaged."""
    damaged: list[tuple[str, str]] = []
    export.write(results, form, output, lambda *fault: damaged.append(fault))
    return damaged


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A journal with one done and one failed outcome."""
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.record(OUTCOMES)
    return path


def test_jsonl_gives_every_column_and_the_result_as_json(results: Path, tmp_path: Path) -> None:
    """A line is an object with the journal's columns; the result is no text but what it was."""
    write(results, "jsonl", tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert rows[0] == OUTCOMES[0]._asdict() | {"result": {"a": [1, 2.5, None]}}
    assert rows[2] == OUTCOMES[2]._asdict()


def test_csv_gives_back_any_text(results: Path, tmp_path: Path) -> None:
    """Commas, quotes, line breaks and any script come back from the table."""
    write(results, "csv", tmp_path / "out")
    with (tmp_path / "out").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == list(Outcome._fields)
    assert [row[0] for row in rows] == [outcome.key for outcome in OUTCOMES]
    assert rows[2][3] == "Error: é ☕"


FLAT = [
    Outcome("a", DONE, '{"n": 1, "in": {"x": "é", "y": [1, "b"]}}', None, 1, "w", 1.5, 0.25),
    Outcome("b", DONE, '{"n": 2.5, "in": {}, "new": true}', None, 1, "w", 1.5, 0.25),
    Outcome("c", DONE, '"text"', None, 1, "w", 1.5, 0.25),
    Outcome("d", FAILED, None, "Error: no", 1, "w", 1.5, 0.25),
    Outcome("e", DONE, r'{"\ud800": "\ud800", "n": null}', None, 1, "w", 1.5, 0.25),
    Outcome("f", DONE, "1" * 6_000, None, 1, "w", 1.5, 0.25),
]
FLAT_COLUMNS = {
    "result.n": ["1", "2.5", "", "", "", ""],
    "result.in.x": ["é", "", "", "", "", ""],
    "result.in.y": ['[1, "b"]', "", "", "", "", ""],
    "result.in": ["", "{}", "", "", "", ""],
    "result.new": ["", "true", "", "", "", ""],
    "result": ["", "", "text", "", "", "1" * 6_000],
    r"result.\ud800": ["", "", "", "", r"\ud800", ""],
}


def test_flat_csv_has_a_column_for_each_field(tmp_path: Path) -> None:
    """Nested fields are dotted, lists are JSON, what is no object stays in ``result``."""
    results = tmp_path / "results.db"
    with Journal(results) as journal:
        journal.record(FLAT)
    assert write(results, export.FLAT, tmp_path / "out") == []
    with (tmp_path / "out").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    columns = dict(zip(header, zip(*rows, strict=True), strict=True))
    assert header == ["key", "status", *FLAT_COLUMNS, *Outcome._fields[3:]]
    assert {name: list(columns[name]) for name in FLAT_COLUMNS} == FLAT_COLUMNS
    assert columns["error"][3] == "Error: no"


def test_flat_csv_reads_twice_what_was_there_at_first(results: Path) -> None:
    """Outcomes that a run records between the two readings are in neither."""
    first, second = reading.rows_twice(results, lambda *_: None)
    assert len(list(first)) == 3
    with Journal(results) as journal:
        journal.record([OUTCOMES[0]._replace(key="late")])
    assert [outcome.key for outcome in second] == [outcome.key for outcome in OUTCOMES]


@pytest.mark.parametrize("form", [*export.FORMS, export.FLAT])
def test_only_what_failed(results: Path, tmp_path: Path, form: str) -> None:
    """--failed leaves out what is done, whatever the format."""
    export.write(results, form, tmp_path / "out", lambda *_: None, failed=True)
    text = (tmp_path / "out").read_text("utf-8")
    assert ("plain" in text, "carriage" in text, "comma" in text) == (False, False, True)


@pytest.mark.parametrize("form", list(export.FORMS))
def test_a_file_that_was_there_stays_until_the_new_one_is_complete(
    tmp_path: Path, form: str
) -> None:
    """An export that fails leaves the earlier file as it was, and nothing else."""
    output = tmp_path / "out"
    output.write_text("earlier")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(JournalError):
        write(tmp_path / "none.db", form, output)
    assert output.read_text() == "earlier"
    assert sorted(tmp_path.iterdir()) == before


def test_ctrl_c_leaves_nothing_half_written(tmp_path: Path) -> None:
    """It ends the writing whatever else it would do, and the unfinished file goes."""
    meanwhile = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "out"):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, meanwhile)
    assert not list(tmp_path.iterdir())


def test_a_link_stays_and_a_device_is_written_to(results: Path, tmp_path: Path) -> None:
    """A link's target is replaced, not the link; what is no regular file is not replaced."""
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    write(results, "csv", link)
    assert link.is_symlink()
    assert target.read_text().startswith('"key"')
    write(results, "csv", Path(os.devnull))
    assert not Path(os.devnull).is_file()


def test_a_reader_that_leaves_early_is_no_error(service: Callable[..., Service]) -> None:
    """Export into head ends quietly."""
    many = service("large_rows")
    assert many.run("20000", "1").code == 0
    export_all = f"'{sys.executable}' -m {PACKAGE} export --format jsonl --results results.db"
    finished = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {export_all} | head -n 1"],
        cwd=many.folder,
        env=many.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    assert json.loads(finished.stdout)["status"] == DONE


DEEP = 5_000
ODD_RESULTS = {
    "a long number": "1" * 6_000,
    "a long number in a list": f"[{'9' * 6_000}, 1e400, -0.0]",
    "deep lists": "[" * DEEP + "]" * DEEP,
    "deep objects": '{"a": ' * DEEP + "1" + "}" * DEEP,
    "a key twice": '{"1": "a", "1": "b"}',
    "a lone surrogate": r'"\ud800"',
    "other scripts": '{"é": "漢 🎉 \u2028"}',
    "line breaks": '{\r\n\t"a": [\n1\n]\n}\n',
    "DEL": '"\x7f"',
}


@pytest.mark.parametrize("name", ODD_RESULTS)
def test_a_result_is_passed_through(tmp_path: Path, name: str) -> None:
    """Whatever JSON it is, on one line, in ASCII, and nothing is said to be damaged."""
    text = ODD_RESULTS[name]
    path = tmp_path / "results.db"
    with Journal(path) as journal:
        journal.record([OUTCOMES[0]._replace(result=text), OUTCOMES[1]])
    assert write(path, "jsonl", tmp_path / "out") == []
    odd, plain = (tmp_path / "out").read_text(encoding="utf-8").splitlines()
    assert odd.isascii()
    assert json.loads(plain)["key"] == OUTCOMES[1].key
    result = odd.partition('"result": ')[2].partition(', "error": null')[0]
    if text.isascii():
        assert result.split() == text.split()
    else:
        assert json.loads(result) == json.loads(text)


DAMAGE = {
    "key, not UTF-8": ("key = CAST(x'ff41' AS TEXT)", ("\\xffA", "key is not UTF-8")),
    "key, a blob": ("key = x'00fe'", ("\x00\\xfe", "key is not UTF-8")),
    "key, empty": ("key = NULL", ("", "key is empty")),
    "status, empty": ("status = NULL", ("bad", "status is empty")),
    "result, no JSON": ("result = '{no'", ("bad", "result is not JSON")),
    "result, NaN": ("result = '[NaN]'", ("bad", "result is not JSON")),
    "result, a blob": ("result = x'ff'", ("bad", "result is not UTF-8, result is not JSON")),
    "result, cut": ("result = '[[[1]]'", ("bad", "result is not JSON")),
    "error, not UTF-8": ("error = CAST(x'c328' AS TEXT)", ("bad", "error is not UTF-8")),
    "worker, empty": ("worker = NULL", ("bad", "worker is empty")),
    "attempts, a text": ("attempts = 'a, \"b'", ("bad", "attempts is no such value")),
    "attempts, empty": ("attempts = NULL", ("bad", "attempts is empty")),
    "started, empty": ("started = NULL", ("bad", "started is empty")),
    "started, a text": ("started = 'soon'", ("bad", "started is no such value")),
    "seconds, infinite": ("seconds = 9e999", ("bad", "seconds is no such value")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_row_hides_no_other(tmp_path: Path, damage: str) -> None:
    """It is told with its key, and exported as well as it can be, in lines that readers take."""
    change, told = DAMAGE[damage]
    path = tmp_path / "results.db"
    outcomes = [OUTCOMES[0]._replace(key=key) for key in ("first", "bad", "last")]
    with Journal(path) as journal:
        journal.record(outcomes)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE outcomes SET {change} WHERE key = 'bad'")
    assert write(path, "jsonl", tmp_path / "rows") == [told]
    first, bad, last = map(json.loads, (tmp_path / "rows").read_text().splitlines())
    assert [row["key"] for row in (first, bad, last)] == ["first", told[0], "last"]
    assert list(bad) == list(Outcome._fields)
    assert "Infinity" not in (tmp_path / "rows").read_text()
    assert write(path, "csv", tmp_path / "table") == [told]
    with (tmp_path / "table").open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    assert [row[0] for row in table] == ["key", "first", told[0], "last"]
    assert {len(row) for row in table} == {len(Outcome._fields)}


@pytest.mark.parametrize("form", list(export.FORMS))
def test_what_runs_record_is_never_looked_at_row_by_row(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Failed items and odd texts neither: that would take four times as long."""
    with Journal(results) as journal:
        journal.record([OUTCOMES[0]._replace(key="big", peak_memory=1 << 40)])
    monkeypatch.setattr(reading, "_mended", lambda *_: pytest.fail("row by row"))
    assert write(results, form, tmp_path / "out") == []
    assert (tmp_path / "out").read_text().count("worker-") == 4


def test_damage_is_one_line_on_standard_error(service: Callable[..., Service]) -> None:
    """export, status and timeline show the rest, and end well."""
    one = service("echo")
    assert one.run("5").code == 0
    with closing(sqlite3.connect(one.results)) as database, database:
        database.execute("UPDATE outcomes SET started = NULL, result = '}' WHERE key = 'item-3'")
        damage = "error = x'ff', key = 'x' || char(27) || '[2J'"
        database.execute(f"UPDATE outcomes SET {damage} WHERE key = 'item-1'")
    results = ("--results", str(one.results))
    exported = one.command("export", "--format", "jsonl", *results)
    assert (exported.code, len(exported.stdout.splitlines())) == (0, 5)
    assert len(exported.stderr.splitlines()) == 2
    assert "item-3: started is empty, result is not JSON" in exported.stderr
    assert r"x\x1b[2J: error is not UTF-8" in exported.stderr
    assert one.command("status", *results).code == 0
    drawn = one.command("timeline", *results, "--log-file", str(one.log), "--html", "page.html")
    assert (drawn.code, drawn.stdout.splitlines()[0].partition(",")[0]) == (0, "4 items")


@pytest.mark.parametrize("form", list(export.FORMS))
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-16"])
def test_what_is_exported_is_utf_8_on_every_terminal(
    results: Path, tmp_path: Path, service: Callable[..., Service], form: str, encoding: str
) -> None:
    """Standard output holds the bytes that a file would."""
    write(results, form, tmp_path / "out")
    one = service()
    one.environment["PYTHONIOENCODING"] = encoding
    shown = subprocess.run(
        [sys.executable, "-m", PACKAGE, "export", "--format", form, "--results", str(results)],
        cwd=one.folder,
        env=one.environment,
        capture_output=True,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert shown.stdout == (tmp_path / "out").read_bytes()


if sys.platform != "win32":

    def test_a_slow_reader_gets_every_row(service: Callable[..., Service]) -> None:
        """Standard output that does not block is waited for."""
        many = service("large_rows")
        assert many.run("5000", "100").code == 0
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        process = subprocess.Popen(
            [sys.executable, "-m", PACKAGE, "export", "--format", "jsonl"],
            cwd=many.folder,
            env=many.environment,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(writer)
        wait_for(lambda: len(select.select([reader], [], [], 1)[0]), "the first rows")
        with open(reader, encoding="utf-8") as file:
            rows = [json.loads(line)["key"] for line in file]
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors, len(rows)) == (0, "", 5_000)
