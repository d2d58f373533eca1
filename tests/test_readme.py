"""The commands in both READMEs and in CONTRIBUTING.md are run as they stand there."""

import os
import re
import shutil
from pathlib import Path

import pytest
from baked import TEMPLATE, BakedProject, run
from command_line import Way, render
from conftest import CHOICES, QUESTIONS, Bake
from tools import TOOLS

in_a_clone = pytest.mark.xdist_group("clone")


def blocks(readme: str) -> list[str]:
    """Return the shell commands of a README, block by block."""
    return re.findall(r"^```sh\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)


WITH_A_SERVER = """
import os, subprocess, sys
from tests.support.postgres import Server, find_binaries
server = Server(find_binaries())
own = {"DATABASE_URL": server.new_database()}
code = subprocess.call(["bash", "-euo", "pipefail", "-c", sys.argv[1]], env=os.environ | own)
server.close()
sys.exit(code)
"""


def shell(commands: str, folder: Path, *path: str | Path, **environ: str) -> str:
    """Run commands as a person who types them; stop at the first that fails."""
    environ["PATH"] = os.pathsep.join(map(str, (*path, os.environ["PATH"])))
    return run("bash", "-euo", "pipefail", "-c", commands, cwd=folder, environ=environ).stdout


@pytest.mark.parametrize(
    ("job", "way", "number"),
    [("files", "uv", 0), ("files", "pip", 1), ("inbox", "uv", 0)],
)
def test_generated_readme_runs_and_tests(bake_again: Bake, job: str, way: str, number: int) -> None:
    """Two commands run the service and its tests, with uv and with plain pip."""
    project = bake_again(ci="none", job=job)
    commands = blocks(project.files["README.md"].decode())
    # All tests run elsewhere; here it is the commands that are tested.
    few = {"PYTEST_ADDOPTS": "tests/test_job.py"}
    shown = shell(commands[number], project.path, TOOLS, **few)
    assert re.search(r"^\d+ done, 0 failed", shown, re.MULTILINE)
    assert " passed" in shown
    assert " failed in" not in shown.rpartition("====")[0].rpartition("====")[2]
    assert (way == "uv") == (project.path / "uv.lock").exists()
    (shown,) = [block for block in commands if " export --format " in block]
    assert "0 failed" in shell(shown, project.path, project.path / ".venv" / "bin")
    assert "0 failed" in shell("source .venv/bin/activate && file-digest status", project.path)
    if job == "files":
        shell("rm -r results.db* logs", project.path)
        assert BakedProject.at(project.path).files.keys() >= project.files.keys()


def test_generated_readme_of_a_queue_runs_and_tests(bake_again: Bake) -> None:
    """The same two commands, where DATABASE_URL names an empty database: they make the table."""
    project = bake_again(ci="none", job="postgres")
    commands = blocks(project.files["README.md"].decode())[0]
    environ = {"PYTEST_ADDOPTS": "tests/test_job.py", "PATH": f"{TOOLS}:{os.environ['PATH']}"}
    shown = project.run("python", "-c", WITH_A_SERVER, commands, environ=environ).stdout
    assert "nothing to do" in shown
    assert " passed" in shown
    assert " failed" not in shown.rpartition("====")[0].rpartition("====")[2]


@pytest.mark.parametrize("execution_model", CHOICES["execution_model"])
def test_generated_readme_lists_every_setting(bake: Bake, execution_model: str) -> None:
    """The tables have the commands and the options that the command line has."""
    project = bake(execution_model=execution_model)
    text = project.files["README.md"].decode()
    rows = re.findall(r"^\| (`--.*?) \|", text, re.MULTILINE)
    options = {option for row in rows for option in re.findall(r"--[a-z-]+", row)}
    offered = set(re.findall(r"--[a-z-]+", project.run(project.slug, "run", "--help").stdout))
    assert options == offered - {"--help"}
    overview = project.run(project.slug, "--help").stdout
    commands = re.findall(r"^  (\w+)  ", overview.partition("Commands:")[2], re.MULTILINE)
    assert set(re.findall(r"^\| `([a-z]+)` \|", text, re.MULTILINE)) == set(commands)


def test_readme_names_targets_that_exist() -> None:
    """Both commands of the first screen are in the Makefile."""
    commands = re.findall(r"^make (\w+)", "\n".join(blocks(readme())), re.MULTILINE)
    assert commands == ["demo", "test"]
    assert set(commands) <= targets()


def test_readme_names_every_question_and_choice() -> None:
    """The table has the questions that cookiecutter.json has, with the default first."""
    rows = re.findall(r"^\| (`.*?`) \| (.*?) \|", readme(), re.MULTILINE)
    table = {question: choices for names, choices in rows for question in names.split("`")[1::2]}
    asked = [question for question in QUESTIONS if not question.startswith("_")]
    assert set(asked) <= table.keys()
    for question, choices in CHOICES.items():
        assert table[question].split("`")[1::2] == choices


def test_promises_name_the_tests_that_prove_them(bake: Bake) -> None:
    """The tests in the table exist, and the table has every fault test."""
    codes = [bake(job=job).code for job in CHOICES["job"]]
    proof = re.compile(r"`(tests/test_\w+\.py)::(\w+)`")
    listed = proof.findall((TEMPLATE / "docs" / "decisions.md").read_text("utf-8"))
    for file, test in listed:
        assert any(f"def {test}(".encode() in code.get(file, b"") for code in codes)
    for file in filter(re.compile(r"tests/test_\w+_faults\.py").fullmatch, codes[0]):
        tests = re.findall(r"^ *def (test_\w+)", codes[0][file].decode(), re.MULTILINE)
        assert {test for named, test in listed if named == file} == set(tests)


def test_commands_hold_no_name_to_fill_in(bake: Bake) -> None:
    """Commands to copy work as they stand."""
    for text in (readme(), contributing(), bake().files["README.md"].decode()):
        assert "OWNER" not in text


def test_the_one_liner_renders(template: Path, tmp_path: Path) -> None:
    """The template renders with all defaults confirmed."""
    one_liner = blocks(readme())[0].split()
    assert one_liner[:2] == ["uvx", "cookiecutter"]
    assert one_liner[2] == "./cookiecutter-multiprocessing"
    done = render(template, tmp_path, Way((), typed="\n" * len(QUESTIONS)))
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "output" / "file-digest" / "README.md").exists()


@pytest.fixture(scope="module")
def clone(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh copy of the template; the first command in it sets everything up."""
    return Path(shutil.copytree(template, tmp_path_factory.mktemp("cloned") / template.name))


@in_a_clone
def test_demo_sets_up_and_shows_the_service(clone: Path) -> None:
    """From python3 and make alone: a run, the first lines of its log, a second run, the status."""
    shown = shell("make demo", clone)
    done = re.search(r"^(\d+) done, 0 failed in ", shown, re.MULTILINE)
    assert done
    assert f"{done[1]} files are there" in shown
    assert re.search(r" worker-\d +DEBUG +\[.+\] digested \d+ bytes$", shown, re.MULTILINE)
    assert "nothing to do" in shown
    assert f"results.db: {done[1]} done, 0 failed" in shown
    rendered = BakedProject.at(clone / "build" / "file-digest").files
    assert "results.db" in rendered


@in_a_clone
def test_example_is_rendered_again(clone: Path) -> None:
    """`make example` removes what was there, and writes the project of the default answers."""
    left = clone / "example" / "file-digest" / "left.py"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.touch()
    shell("make example", clone)
    assert not left.exists()
    assert (left.parent / "src" / "file_digest" / "job.py").exists()


@in_a_clone
def test_contributing_checks_renders_and_breaks(clone: Path) -> None:
    """All commands, one after another: lint and tests pass, a killed worker costs no item."""
    shown = shell("\n".join(blocks(contributing())), clone)
    assert "Success: no issues found" in shown
    assert " passed" in shown
    assert re.search(r"worker-1 is gone: .*SIGKILL$", shown, re.MULTILINE)
    assert "results.db: 100 done, 0 failed" in shown


def test_contributing_names_what_exists() -> None:
    """Paths of the table and elsewhere, and targets of the Makefile."""
    text = contributing()
    table = re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE)
    named = [path for cell in table for path in cell.split("`")[1::2]]
    assert {"services.txt", "tests", "docs/decisions.md"} <= {*named}
    named += re.findall(r"`((?:tests|docs|benchmarks)/[\w.]+)`", text)
    assert [path for path in named if not (TEMPLATE / path).exists()] == []
    assert {*re.findall(r"\bmake (\w+)", "\n".join(re.findall("`.*?`", text)))} <= targets()


def targets() -> set[str]:
    makefile = (TEMPLATE / "Makefile").read_text("utf-8")
    return {*re.findall(r"^(\w+):", makefile, re.MULTILINE)}


def readme() -> str:
    return (TEMPLATE / "README.md").read_text("utf-8")


def contributing() -> str:
    return (TEMPLATE / "CONTRIBUTING.md").read_text("utf-8")
