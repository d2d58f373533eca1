"""The service as a whole, on real files."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .support.service import Service


def test_run_digests_every_file(
    service: Callable[..., Service], tmp_path: Path, start_method: str
) -> None:
    """Each file of a tree has one outcome with its digest; running again does nothing."""
    tree = tmp_path / "tree"
    (tree / "folder").mkdir(parents=True)
    for number in range(20):
        (tree / "folder" / f"{number} é.txt").write_bytes(b"one two\nthree\n" * number)
    digest = service()
    first = digest.run(str(tree), "--start-method", start_method)
    assert first.code == 0, first.stderr
    for path in sorted(tree.rglob("*.txt")):
        content = path.read_bytes()
        assert digest.result(str(path)) == {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
    assert digest.count() == 20
    again = digest.run(str(tree), "--start-method", start_method)
    assert again.code == 0
    assert "nothing to do" in again.stdout


@pytest.mark.faults
@pytest.mark.parametrize("transport", ["pipe", "queue"])
def test_one_log_holds_every_record_in_order(
    service: Callable[..., Service], start_method: str, transport: str
) -> None:
    """8 workers with 20,000 records each: all lines are there, whole, in each worker's order."""
    noisy = service("noisy")
    options = ("--workers", "8", "--start-method", start_method, "--log-transport", transport)
    assert noisy.run("8", "20000", *options).code == 0
    seen: dict[str, int] = {}
    for line in noisy.log_lines():
        if " record " in line:
            number, item = line.split(" record ")[1].split(" of item ")
            assert int(number) == seen.get(item, -1) + 1
            seen[item] = int(number)
    assert seen == {str(item): 19_999 for item in range(8)}


def test_json_log_has_one_object_a_line(service: Callable[..., Service]) -> None:
    """--log-format json writes lines that json reads, with level, logger, process and message."""
    noisy = service("noisy")
    assert noisy.run("3", "2", "--log-format", "json").code == 0
    records = [json.loads(line) for line in noisy.log_lines()]
    messages = [record["message"] for record in records if record["process"].startswith("worker")]
    assert len(messages) == 6
    assert {"time", "level", "logger", "process", "pid", "message"} <= set(records[0])


def test_status_and_export_agree_with_the_journal(
    service: Callable[..., Service], tmp_path: Path
) -> None:
    """Status counts what the journal holds; export writes each row once, in both formats."""
    counting = service("noisy")
    assert counting.run("5", "1", "0").code == 1
    results = ("--results", str(counting.results))
    status = counting.command("status", *results).stdout
    assert "4 done, 1 failed" in status
    assert "1 x ZeroDivisionError" in status
    lines = counting.command("export", *results, "--format", "jsonl").stdout.splitlines()
    assert {json.loads(line)["key"] for line in lines} == {f"item-{n}" for n in range(5)}
    table = tmp_path / "table.csv"
    assert counting.command("export", *results, "--format", "csv", "--output", str(table)).code == 0
    assert len(table.read_text().splitlines()) >= 6
