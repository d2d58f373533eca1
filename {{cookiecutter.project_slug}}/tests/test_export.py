"""Export: complete files or none, and readers that leave early."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from service import PACKAGE, Service

from {{ cookiecutter.package_name }} import export
from {{ cookiecutter.package_name }}.files import replacing
from {{ cookiecutter.package_name }}.journal import Journal
from {{ cookiecutter.package_name }}.messages import DONE, FAILED, Outcome
from {{ cookiecutter.package_name }}.reading import JournalError

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
    many = service("""
        def items(inputs):
            return ((str(n), n) for n in range(20_000))

        def work(payload):
            return payload
    """)
    assert many.run().code == 0
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
