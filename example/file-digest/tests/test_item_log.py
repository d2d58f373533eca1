"""One item's lines are found in all files of a log, and no others."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from file_digest.insight.item_log import (
    LayoutError,
    files_of,
    lines_of,
)
from file_digest.log.formats import LineFormatter
from file_digest.settings import TEXT_LAYOUT

from .support.service import Service
from .test_formats import make

KEYS = ["a", "a/b", "with blanks", "[a]", "a] b", "two\nlines", "100 %", "ä\u2028ö", "-", ".*"]
LAYOUTS = [
    TEXT_LAYOUT,
    "%(message)s [%(item)s]",
    "%(asctime)s|%(item)-20s|%(message)s",
    "%(levelname)s (%(item)-30.60s) %(message)s",
    "%(item)s 100%% %(message)s",
]


def write(path: Path, layout: str) -> None:
    """Write a log in which each key has a record of two lines, which names all other keys."""
    formatter = LineFormatter(layout)
    for key in KEYS:
        message = f"of {key}, not of {', '.join(KEYS)}\nsecond of {key}"
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(formatter.format(make("%s", message, item=key)) + "\n")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("key", KEYS)
def test_only_the_lines_of_the_item_are_found(tmp_path: Path, key: str, layout: str) -> None:
    """Whatever the key holds, wherever the layout has it, and whatever other records say."""
    path = tmp_path / "the.log"
    write(path, layout)
    (record,) = lines_of(key, path, layout)
    assert f"of {LineFormatter('%(message)s').format(make('%s', key))}, not of" in record


def test_rotated_files_and_the_rescue_file_are_read_in_order(tmp_path: Path) -> None:
    """The oldest first, the rescue file last; others that lie there are none of them."""
    path = tmp_path / "the.log"
    for name in ("the.log.2", "the.log.10", "the.log", "the.log.rescue", "the.log.1.gz", "other"):
        (tmp_path / name).write_text(json.dumps({"item": "a", "in": name}) + "\n")
    assert [path.name for path in files_of(path)] == [
        "the.log.10",
        "the.log.2",
        "the.log",
        "the.log.rescue",
    ]
    found = [json.loads(line)["in"] for line in lines_of("a", path, TEXT_LAYOUT)]
    assert found == ["the.log.10", "the.log.2", "the.log", "the.log.rescue"]
    assert list(lines_of("in", path, TEXT_LAYOUT)) == []


def test_a_layout_without_the_item_is_refused(tmp_path: Path) -> None:
    """Its lines do not tell."""
    with pytest.raises(LayoutError, match="item"):
        lines_of("a", tmp_path / "the.log", "%(message)s")


JOB = """
    import logging, os

    def items(inputs):
        return ((key, key) for key in ("killed", "one", "two"))

    def work(key):
        logging.info("logged by %s", key)
        print("printed by", key)
        if key == "killed":
            os.abort()
        if key == "two":
            raise ValueError("no good")
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_command_prints_one_items_lines(service: Callable[..., Service], form: str) -> None:
    """Its records, its prints and its outcome are found, also of one that killed its worker."""
    one = service(JOB)
    one.run("--workers", "1", "--max-attempts", "2", "--log-format", form)
    for key, times, end in (
        ("one", 1, None),
        ("two", 1, "item two failed: ValueError: no good"),
        ("killed", 2, "item killed failed: worker died: SIGABRT"),
    ):
        told = one.command("log", key, "--log-file", str(one.log)).stdout
        assert told.count(f"logged by {key}") == times
        assert told.count(f"printed by {key}") == times
        assert told.count("logged by") == times
        assert end is None or end in told
    nothing = one.command("log", "three", "--log-file", str(one.log))
    assert (nothing.code, nothing.stdout) == (1, "")
    assert "no line of three" in nothing.stderr
    missing = one.command("log", "one", "--log-file", "nowhere.log")
    assert (missing.code, missing.stderr.count("\n")) == (2, 1)
