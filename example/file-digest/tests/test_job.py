"""The job: which files it takes, and what it says of each."""

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from file_digest import job

CONTENTS = {
    "empty": b"",
    "a line": b"one line\n",
    "no newline at the end": b"one\ntwo words",
    "blank lines and tabs": b"\n\n\t\n a\tb \n",
    "carriage returns and form feeds": b"a\r\nb\x0cc\x0bd\r",
    "UTF-8": "naïve café\n".encode(),
    "words without ASCII": "日本語 テキスト ☕\n".encode(),
    "all bytes": bytes(range(256)) * 3,
    "a word across chunks": b"x" * (job.CHUNK + 10) + b" y",
    "white space across chunks": b"x " * job.CHUNK,
    "controls across chunks": b"x" * (job.CHUNK - 1) + b"\x00\x01" + b"y z",
}
NOT_IN_OLD_WORDS = bytes({*range(256)} - {*range(33, 127), *job.SPACE})


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="compares with GNU coreutils")
@pytest.mark.parametrize("content", CONTENTS.values(), ids=list(CONTENTS))
def test_work_agrees_with_sha256sum_and_wc(tmp_path: Path, content: bytes) -> None:
    """Digest, bytes and lines are what sha256sum and wc say, words what is between white space.

    Before its version 9.5 coreutils' wc left out words without printable ASCII.
    """
    path = tmp_path / "file"
    path.write_bytes(content)
    digest = _output("sha256sum", path).split()[0]
    lines, words, size = map(int, _output("wc", "-lwc", path).split()[:3])
    told = job.work(str(path))
    assert told == {
        "sha256": digest,
        "bytes": size,
        "lines": lines,
        "words": len(content.split()),
    }
    if content.translate(None, NOT_IN_OLD_WORDS) == content:
        assert told["words"] == words


def _output(*command: str | Path) -> str:
    environment = os.environ | {"LC_ALL": "C"}
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout


def test_items_walks_folders_and_takes_files_as_they_are(tmp_path: Path) -> None:
    """A folder gives the regular files below it in order; links and special files are left out."""
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for name in ("a", "b/x", "b/deep/y"):
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    _fifo(tmp_path)
    found = [key for key, _ in job.items([str(tmp_path)])]
    assert found == [str(tmp_path / name) for name in ("a", "b/x", "b/deep/y")]
    assert [key for key, _ in job.items([str(tmp_path / "link")])] == [str(tmp_path / "link")]
    assert job.count([str(tmp_path)]) == 3


def test_items_reads_names_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """``-`` takes one name a line, of any bytes; blank lines are passed over."""
    names = io.TextIOWrapper(io.BytesIO(b"one\n\ntwo words\ncaf\xe9"))
    monkeypatch.setattr(sys, "stdin", names)
    found = [key for key, _ in job.items(["-"])]
    assert found == ["one", "two words", os.fsdecode(b"caf\xe9")]
    assert job.count(["-"]) is None


def _missing(folder: Path) -> Path:
    return folder / "missing"


def _fifo(folder: Path) -> Path:
    """Make what is neither a file nor a folder, as far as the platform has it: none on Windows."""
    if sys.platform != "win32":
        os.mkfifo(folder / "fifo")
    return folder / "fifo"


NO_FILE = FileNotFoundError if sys.platform == "win32" else ValueError


@pytest.mark.parametrize(
    ("make", "error"), [(_missing, FileNotFoundError), (_fifo, NO_FILE)], ids=["missing", "fifo"]
)
def test_items_refuses_bad_inputs_at_once(
    tmp_path: Path, make: Callable[[Path], Path], error: type[Exception]
) -> None:
    """Inputs that cannot be items are refused by the call, before anything is done."""
    path = make(tmp_path)
    with pytest.raises(error, match=path.name):
        job.items([str(tmp_path), str(path)])


def test_items_asks_for_inputs() -> None:
    """Without any there is nothing to do, which is wrong usage and no empty run."""
    with pytest.raises(ValueError, match="give files, folders, or -"):
        job.items([])


def test_work_fails_on_what_is_no_regular_file(tmp_path: Path) -> None:
    """A file that vanished, a folder and a FIFO raise OSError; none of them blocks."""
    _fifo(tmp_path)
    for path in (tmp_path / "vanished", tmp_path, tmp_path / "fifo"):
        with pytest.raises(OSError, match=path.name):
            job.work(str(path))
