"""Rendered projects are installed and run: their own tests, and their job on real files."""

import ast
import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from baked import TEMPLATE, BakedProject
from conftest import CHOICES, THOROUGH, Bake, first_always

from benchmarks import inbox_soak

GENERATED_TESTS = TEMPLATE / "{{cookiecutter.project_slug}}" / "tests"
FAULT_TABLES = sorted(path.name for path in GENERATED_TESTS.glob("test_*_faults.py"))
THE_MODELS_OWN, EVERYTHING_ELSE = "the model's own", "everything else"
TABLES = [EVERYTHING_ELSE, *FAULT_TABLES, THE_MODELS_OWN]
FIRST_MODEL, *REST = CHOICES["execution_model"]
OTHER_MODELS = REST[::-1]
"""The slowest first."""
OF_MAIN_ALONE = {
    f"test_{what}_faults.py"
    for what in (
        *("halt", "in_process", "journal", "path", "poll", "prune", "screen", "settled", "source"),
        "stdout_log",
    )
}
"""Fault tables of what main, its journal and the listener do, whoever does the work."""
WITH_EACH_MODEL = [
    *("test_end_to_end.py", "test_item_faults.py", "test_log_faults.py", "test_stop_faults.py"),
    *("test_worker_faults.py", THE_MODELS_OWN),
]
"""Tests that run with each execution model every time."""

every_model = pytest.mark.parametrize("execution_model", CHOICES["execution_model"])
every_code = pytest.mark.parametrize("include_examples", CHOICES["include_examples"])


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of Python's standard library, with files whose names are hard to handle."""
    tree = tmp_path_factory.mktemp("tree") / "stdlib"
    ignored = shutil.ignore_patterns("site-packages", "dist-packages", "__pycache__", "*.a", "*.so")
    shutil.copytree(sysconfig.get_path("stdlib"), tree, ignore=ignored, symlinks=True)
    # Not every file system takes a name that is not UTF-8.
    odd = [b"\xff"] if platform.system() == "Linux" else []
    for name in [*odd, b"two\nlines", b"bl ank", b"back\\slash", b"-dash", b"'\"", "é".encode()]:
        Path(os.fsdecode(os.fsencode(tree) + b"/" + name)).write_bytes(name * 3)
    return tree


def suites() -> list[tuple[str, str, str]]:
    """Return execution models, tables of each and how many rows of it, the longest first."""
    others = [(model, table, "1") for model in OTHER_MODELS for table in WITH_EACH_MODEL]
    return [*others, *((FIRST_MODEL, table, "1") for table in TABLES)]


def thorough_suites() -> list[tuple[str, str, str]]:
    """Return what the others leave out."""
    left = [table for table in TABLES if table not in {*OF_MAIN_ALONE, *WITH_EACH_MODEL}]
    others = [(model, table, "1") for model in OTHER_MODELS for table in left]
    return [*others, *((FIRST_MODEL, table, "each") for table in FAULT_TABLES)]


@pytest.mark.parametrize(
    ("execution_model", "table", "rows"),
    [*suites(), *(pytest.param(*suite, marks=THOROUGH) for suite in thorough_suites())],
)
@pytest.mark.timeout(1800)
def test_generated_tests_pass(bake: Bake, execution_model: str, table: str, rows: str) -> None:
    """The tests that a project is born with pass in an environment of its own.

    One row of each fault test; `make test-all`: each row once by the first execution model, with
    start methods and transports dealt out to the rows, and one by the others. What is the same
    whatever the model is run by the first. All combinations are run by
    `python -m benchmarks.soak --model MODEL --times 1`, and by `pytest -m faults` of the generated
    projects in continuous integration.
    """
    project = bake(execution_model=execution_model)
    own = own_tests(bake, project)
    others = {*FAULT_TABLES, *own}
    if execution_model != FIRST_MODEL:
        others |= same_for_all_models(bake)
    chosen = {
        EVERYTHING_ELSE: [f"--ignore=tests/{name}" for name in others],
        THE_MODELS_OWN: [f"tests/{name}" for name in own],
    }.get(table, [f"tests/{table}"])
    few = {"FAULT_ROWS": rows, "FAULT_TRIES": "1"}
    assert " passed" in project.run_tests(*chosen, environ=few)


@pytest.mark.parametrize(
    ("job", "execution_model"),
    [
        *(("inbox", "process"), ("postgres", "process")),
        *(pytest.param("postgres", model, marks=THOROUGH) for model in ("pool", "dask")),
    ],
)
@pytest.mark.timeout(1800)
def test_the_jobs_own_tests_pass(bake: Bake, job: str, execution_model: str) -> None:
    """Those of the jobs that are not the default; a queue has a server of its own."""
    project = bake(execution_model=execution_model, job=job)
    shown = project.run_tests("tests/test_job.py", environ={"CI": "true"})
    assert re.search(r"^\d+ passed(, \d+ (skipped|xfailed))* in", shown, re.MULTILINE), shown


def test_fault_tests_are_spread_over_the_cores(bake: Bake) -> None:
    """`pytest -m faults` begins one process for each core, and leaves it at that."""
    one = ("tests/test_item_faults.py", "-k", "payload_does_not_unpickle")
    shown = bake().run("pytest", "-m", "faults", *one).stdout
    assert re.search(r"^created: (\d+)/\1 workers$", shown, re.MULTILINE), shown
    assert "1 passed" in shown
    assert "workers [1 item]" in shown


def own_tests(bake: Bake, project: BakedProject) -> set[str]:
    """Return the test modules that not every execution model has."""
    projects = [bake(execution_model=model) for model in CHOICES["execution_model"]]
    everywhere = set.intersection(*(set(each.code) for each in projects))
    return {Path(name).name for name in set(project.code) - everywhere if "/test_" in name}


def test_what_is_the_same_for_all_models_is_known(bake: Bake) -> None:
    """A test of the log's formats is; one that runs the service is not."""
    same = same_for_all_models(bake)
    assert {"test_formats.py", "test_recovery.py", "test_job.py"} <= same
    assert not {"test_end_to_end.py", "test_cli.py", *FAULT_TABLES} & same


def same_for_all_models(bake: Bake) -> set[str]:
    """Return the test modules that run no service and reach no code that differs."""
    projects = [bake(execution_model=model) for model in CHOICES["execution_model"]]
    same = set.intersection(*(set(project.files.items()) for project in projects))
    unchanged = {name for name, _ in same}
    first = projects[0]
    return {
        Path(name).name
        for name in first.code
        if name.startswith("tests/test_") and reached(first, name) <= unchanged
    }


def reached(project: BakedProject, test: str) -> set[str]:
    """Return a test module and all files of the project that it imports, at any distance."""
    found, left = set[str](), {test, "tests/conftest.py"}
    while left:
        found.add(name := left.pop())
        text = project.code[name].decode()
        names = {"engine"} if name == test and runs_it(text) else set(own_imports(text))
        left |= {path for path in project.code if Path(path).stem in names} - found
    return found


def runs_it(test: str) -> bool:
    """Tell whether a test module runs the service."""
    return "service: " in test or "Service(" in test


def own_imports(text: str) -> Iterator[str]:
    """Yield the last parts of the names of all modules of the project, and of what may be one."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (
            node.level or (node.module or "").startswith("file_digest")
        ):
            yield (node.module or "").rpartition(".")[2]
            yield from (alias.name for alias in node.names)


@every_model
def test_every_module_is_used(bake: Bake, tmp_path: Path, execution_model: str) -> None:
    """Some command, in some process of it, imports each module: no model ships one for another."""
    project = bake(execution_model=execution_model)
    (tmp_path / "file").write_text("text")
    commands = [
        ("run", "--preload", "--results", str(tmp_path / "a.db"), tmp_path),
        ("run", "--results", str(tmp_path / "b.db"), "--log-transport", "queue", tmp_path),
        ("status", "--results", str(tmp_path / "a.db")),
        ("export", "--results", str(tmp_path / "a.db"), "--format", "csv"),
        ("log", tmp_path / "file"),
        ("prune", "--results", str(tmp_path / "b.db"), "--older-than", "1d"),
        ("scale", "--workers", "1", "--seconds", "0.1", tmp_path),
        ("timeline", "--results", str(tmp_path / "a.db"), "--html", str(tmp_path / "page.html")),
    ]
    each_import = {"PYTHONPROFILEIMPORTTIME": "1", "FILE_DIGEST_RUN_LOG_LEVEL": "DEBUG"}
    shown = "".join(
        project.run(project.slug, *command, environ=each_import).stdout for command in commands
    )
    imported = set(re.findall(r"\| +(file_digest[\w.]*)$", shown, re.MULTILINE))
    assert {module_name(name) for name in project.code if name.startswith("src/")} <= imported


def module_name(path: str) -> str:
    """Return the name by which a file is imported."""
    parts = path.removeprefix("src/").removesuffix(".py").split("/")
    return ".".join(part for part in parts if part != "__init__")


@every_model
def test_examples_are_all_that_the_question_adds(bake: Bake, execution_model: str) -> None:
    """Without them the code and its tests are the same, so those have passed as well."""
    with_examples = bake(execution_model=execution_model, include_examples="yes").code
    without = bake(execution_model=execution_model, include_examples="no").code
    assert {name: with_examples[name] for name in without} == without
    added = with_examples.keys() - without.keys()
    assert all(name.startswith(("examples/", "tests/test_examples")) for name in added)


@pytest.mark.skipif(platform.system() != "Linux", reason="GNU coreutils are what it is held to")
@every_code
@every_model
def test_results_are_those_of_sha256sum_and_wc(
    bake: Bake, tree: Path, execution_model: str, include_examples: str
) -> None:
    """Each file of a real tree has one row, which says what the system's own tools say."""
    project = bake(execution_model=execution_model, include_examples=include_examples)
    forget_runs(project)
    project.run(project.slug, "run", tree)
    rows = exported(project)
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    assert len(files) > 500
    assert {row["key"]: row["result"] for row in rows} == reference(files)
    assert {(row["status"], row["attempts"]) for row in rows} == {("done", 1)}
    with closing(sqlite3.connect(project.path / "results.db")) as journal:
        assert journal.execute("SELECT count(*) FROM outcomes").fetchone() == (len(files),)


@every_model
def test_a_second_run_does_nothing_and_says_so(
    bake: Bake, tree: Path, execution_model: str
) -> None:
    """Items that are done stay done; status, export and the summary agree on them."""
    project = bake(execution_model=execution_model)
    forget_runs(project)
    folder = tree / "json"
    count = sum(1 for path in folder.rglob("*") if path.is_file())
    assert f"{count} done, 0 failed" in project.run(project.slug, "run", folder).stdout
    before = exported(project)
    again = project.run(project.slug, "run", folder).stdout
    assert "nothing to do" in again
    assert f"{count} done and 0 failed in earlier runs" in again
    assert f"{count} done, 0 failed" in project.run(project.slug, "status").stdout
    assert exported(project) == before


@pytest.mark.parametrize("execution_model", first_always(CHOICES["execution_model"]))
def test_an_inbox_loses_no_file_whoever_is_killed(
    bake: Bake, tmp_path: Path, execution_model: str
) -> None:
    """Workers, listener and main are killed meanwhile: each file is in done once, with its digest.

    `python -m benchmarks.inbox_soak` does the same with thousands of files, for minutes.
    """
    project = bake(execution_model=execution_model, job="inbox")
    command = [project.bin / project.slug]
    one = inbox_soak.soak(command, tmp_path / "soak", files=60, seconds=12, seed=3)
    assert one.faults() == []
    assert len(one.sent) == 60
    assert one.kills["listener"]
    assert one.kills["main"]


def forget_runs(project: BakedProject) -> None:
    for left in project.path.glob("results.db*"):
        left.unlink()


def exported(project: BakedProject) -> list[dict[str, Any]]:
    lines = project.run(project.slug, "export", "--format", "jsonl").stdout.splitlines()
    return [json.loads(line) for line in lines]


def reference(files: list[Path]) -> dict[str, dict[str, object]]:
    """Return what sha256sum and wc say of each file; a word is what is between white space.

    wc's own words differ from version to version of coreutils.
    """
    names = b"".join(os.fsencode(file) + b"\0" for file in files)
    sums = output(["xargs", "-0", "sha256sum", "-z"], names).split(b"\0")[:-1]
    counts = output(["wc", "-lc", "--files0-from=-"], names).splitlines()[:-1]
    return {
        shown(file): {"sha256": digest.split()[0].decode(), **counted(line), "words": words(file)}
        for file, digest, line in zip(files, sums, counts, strict=True)
    }


def shown(file: Path) -> str:
    """Return the key of a file; a byte that is no UTF-8 is written out, SQLite holds text only."""
    return str(file).encode("utf-8", "backslashreplace").decode()


def counted(line: bytes) -> dict[str, object]:
    return dict(zip(("lines", "bytes"), map(int, line.split()[:2]), strict=True))


def words(file: Path) -> int:
    return len(file.read_bytes().split())


def output(command: list[str], names: bytes) -> bytes:
    environ = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        command, input=names, env=environ, stdout=subprocess.PIPE, check=True
    ).stdout
