"""The tutorial shows the output and code of a generated project; no link is dead.

`make docs` (UPDATE_DOCS=1) writes what is printed now into the tutorial.
"""

import ast
import os
import re
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from baked import TEMPLATE, BakedProject, run
from conftest import Bake

pytestmark = pytest.mark.xdist_group("tutorial")

TUTORIAL = TEMPLATE / "docs" / "tutorial.md"
DOCUMENTS = [*TEMPLATE.glob("*.md"), *TEMPLATE.glob("docs/*.md")]
SECTIONS = [
    *("The GIL", "Process", "Queue", "Pipe", "Synchronization", "Shared memory"),
    *("Server process", "Pool", "A log file for each process", "One log file"),
]
BLOCK = re.compile(r"^(?:<!-- (\S+): (\w+) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VARYING = [
    (r"^Other programs keep this machine busy.*\n", ""),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", "TIME"),
    (r"(process|process id:|a sample of) \d+", r"\1 N"),
    (r"Python 3[.\d]+", "Python 3"),
    (r"^\d+ (done|items|cores)", r"N \1"),
    (r", \d+ (cores|workers)", r", N \1"),
    (r"\d+\.\d+", "F"),
    (r"\d+%", "P%"),
    (r".*use --workers \d+\.$", "ADVICE"),
    (r" +", " "),
]


@dataclass(frozen=True)
class Block:
    """One fenced block, and the comment before it that says where it is from."""

    file: str | None
    function: str | None
    language: str
    text: str


def blocks() -> list[Block]:
    return [Block(*match.groups()) for match in BLOCK.finditer(TUTORIAL.read_text("utf-8"))]


SHOWN = [
    (before.text, after.text)
    for before, after in pairwise(blocks())
    if (before.language, after.language) == ("sh", "text")
]
EXCERPTS = [block for block in blocks() if block.language == "python"]


@pytest.fixture(scope="module")
def project(bake: Bake) -> BakedProject:
    return bake()


@pytest.fixture(scope="module")
def printed(project: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run every command of the tutorial, in its order and in one folder."""
    folder = tmp_path_factory.mktemp("reader")
    for part in ("src", "tests", "examples"):
        shutil.copytree(project.path / part, folder / part)
    path = os.pathsep.join([str(project.bin), os.environ["PATH"]])
    outputs = {
        commands: run("bash", "-euc", typed, cwd=folder, environ={"PATH": path}).stdout
        for commands, _ in SHOWN
        for typed in [commands.replace("uv run ", "")]
    }
    if os.environ.get("UPDATE_DOCS"):
        text = TUTORIAL.read_text("utf-8")
        for commands, shown in SHOWN:
            before = f"```sh\n{commands}```\n\n```text\n"
            text = text.replace(f"{before}{shown}", f"{before}{outputs[commands]}")
        TUTORIAL.write_text(text, "utf-8")
    return outputs


def lasting(text: str) -> str:
    """Return a text without what differs from run to run."""
    for varying, name in VARYING:
        text = re.sub(varying, name, text, flags=re.MULTILINE)
    return text


@pytest.mark.parametrize(("commands", "shown"), SHOWN, ids=[shown[0] for shown in SHOWN])
def test_the_output_shown_is_the_output(printed: dict[str, str], commands: str, shown: str) -> None:
    """But for times, process ids and what this machine's speed makes of it."""
    assert lasting(printed[commands]) == lasting(shown)


@pytest.mark.parametrize("block", EXCERPTS, ids=[str(block.function) for block in EXCERPTS])
def test_the_code_shown_is_the_code(project: BakedProject, block: Block) -> None:
    """A function is quoted as it stands in its file."""
    assert block.file
    source = project.files[block.file].decode()
    functions = {
        node.name: ast.get_source_segment(source, node)
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef)
    }
    assert block.text == f"{functions[str(block.function)]}\n"


def test_no_block_is_unchecked() -> None:
    """Each is a command, the output of the command before it, or a quoted function."""
    languages = [block.language for block in blocks()]
    assert languages.count("sh") == languages.count("text") == len(SHOWN)
    assert len(SHOWN) * 2 + len(EXCERPTS) == len(languages)


def test_every_section_has_its_code_example_and_test(project: BakedProject) -> None:
    """The table has each section in its order, no empty cell, and only files that exist."""
    text = TUTORIAL.read_text("utf-8")
    rows = re.findall(r"^\| \[(.+?)\]\(#(.+?)\) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    assert [row[0] for row in rows] == re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    for name, anchor, code, example, tests in rows:
        assert anchor == name.lower().replace(" ", "-")
        for cell, folder in ((code, "src/"), (example, "examples/"), (tests, "tests/")):
            files = [file for file in cell.split("`")[1::2] if "/" in file]
            assert files, f"{name}: an empty cell"
            assert all(file.startswith(folder) and file in project.files for file in files), files
    examples = {name for name in project.files if name.endswith("_example.py")}
    assert examples == {row[3].strip("`") for row in rows}


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_links_lead_somewhere(document: Path) -> None:
    """Files and sections that a document links to or shows are there."""
    for link in re.findall(r"\]\((?!https?:)(.+?)\)", document.read_text("utf-8")):
        file, _, section = link.partition("#")
        target = document.parent / file if file else document
        assert target.exists(), link
        assert not section or section in sections(target), link


def sections(document: Path) -> list[str]:
    """Return the names by which a document's sections are linked to."""
    titles = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles]
