"""Every command in a document is run by a test, or has a reason here why not.

Commands are the lines of `sh` blocks, and what stands in the text as code and begins like one.
"""

import re
from pathlib import Path

import pytest
from baked import TEMPLATE, BakedProject
from conftest import CHOICES, Bake
from test_ci import GITHUB, commands
from test_readme import blocks, shell
from tools import TOOLS

RUN_WHOLE = {
    "CONTRIBUTING.md": "test_readme.py::test_contributing_checks_renders_and_breaks",
    "docs/tutorial.md": "test_docs.py::test_the_output_shown_is_the_output",
}
"""Documents all of whose blocks are run, one after another."""

FIRST = "test_readme.py::test_generated_readme_runs_and_tests"
FAULTS = "test_commands.py::test_the_faults_are_run_as_shown"
FLOORS = "test_deploy.py::test_the_oldest_dependencies_will_do"
INBOX = "test_execute.py::test_an_inbox_loses_no_file_whoever_is_killed"
LINT = "test_ci.py::test_first_push_is_green"
EXTRAS = "test_commands.py::test_extras_are_installed_as_shown"
TLS = "test_cluster.py::test_tls"
CLUSTER = "test_cluster.py::test_a_killed_scheduler_ends_the_run_and_a_rerun_finishes"
RUN = {
    # The template's.
    r"uvx cookiecutter \S+": "test_readme.py::test_the_one_liner_renders",
    r"make demo": "test_readme.py::test_demo_sets_up_and_shows_the_service",
    r"make example": "test_readme.py::test_example_is_rendered_again",
    r"uvx cruft create .*": "test_update.py::test_readme_commands_create_and_update",
    r"uvx cruft (check|update)": "test_update.py::test_readme_commands_create_and_update",
    # What is generated: with the names, folders and addresses of the test.
    r"uv run file-digest run( src| inbox)?": FIRST,
    r"uv run( pytest)?": FIRST,
    r"mkdir -p inbox && cp README.md inbox": FIRST,
    r"python3 -m venv .*": FIRST,
    r"\.venv/bin/(file-digest run( src| inbox)?|pytest)": FIRST,
    r"source \.venv/bin/activate": FIRST,
    r"rm -r results\.db\* logs": FIRST,
    r"file-digest (status|export --format csv)": FIRST,
    r"file-digest run --(retry-failed|redo) src": FIRST,
    r"file-digest run --help": "test_readme.py::test_generated_readme_lists_every_setting",
    r"file-digest run --poll 1 inbox": INBOX,
    r"file-digest run --poll 1": "test_job.py::test_services_are_killed_again_and_again",
    r"file-digest run --job-option .*": "test_commands.py::test_options_reach_the_job_as_shown",
    r"FILE_DIGEST_JOB_DEPTH=2 .*": "test_commands.py::test_options_reach_the_job_as_shown",
    r"(FAULT_\w+=\S+ )?uv run pytest -m faults.*": FAULTS,
    r"uv run (ruff|mypy|lint-imports).*": LINT,
    r"uv run prek install": "test_deploy.py::test_commits_are_checked_after_uvs_cache_is_pruned",
    r"uv pip install --resolution lowest-direct": FLOORS,
    r"uv sync --extra (chart|metrics)": EXTRAS,
    r"pip install '\.\[(chart|metrics)\]'": EXTRAS,
    r"dask scheduler --protocol tls .*": TLS,
    r"dask worker tls://.*": TLS,
    r"file-digest run --scheduler .*--tls-.*": TLS,
    r"file-digest run --scheduler-file .*": CLUSTER,
    r"file-digest run --scheduler tcp://\S+ INPUTS": CLUSTER,
}
"""Commands that a test runs, and that test."""

NOT_HERE = {
    r"make test(-all)?": "it is what runs this",
    r"make (bench|choosing|soak)": "takes an hour; tests/test_benchmarks.py measures in small",
    r"\.venv/bin/python -m benchmarks\.soak .*": "the fault tests in full, which CI runs by pytest",
    r"make names": "asks the registry for every dependency; tests/test_names.py checks the outcome",
    r"docker .*": "needs Docker; tests/test_container.py runs what the image would",
    r"systemctl kill .*": "needs systemd as process 1; the signal itself is tested",
    r"dask ssh .*|pip install bokeh": "needs other machines, or a browser at dask's own dashboard",
    r"helm .*|kubectl .*": "needs Kubernetes",
    r"srun .*": "needs Slurm",
}
"""Commands that no test runs, and the reason."""

INLINE = re.compile(
    r"`((?:uvx?|pip|make|docker|git|rm|source|python3?|pytest|dask|helm|kubectl|srun|systemctl|"
    r"file-digest|\.venv/\S+) [^`\n]+)`"
)
BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def shown(text: str) -> set[str]:
    """Return the commands of a document, without comments."""
    lines = "\n".join(blocks(text)).splitlines()
    stripped = (re.sub(r"(^| +)#.*|( +&)$", "", line).strip() for line in lines)
    return {*filter(None, stripped), *INLINE.findall(BLOCK.sub("", text))}


def documents(bake: Bake) -> dict[str, str]:
    """Return what people read: of the template, and of each model and job."""
    own = [TEMPLATE / "README.md", TEMPLATE / "CONTRIBUTING.md", TEMPLATE / "docs" / "choosing.md"]
    own += [TEMPLATE / "docs" / name for name in ("engine.md", "tutorial.md")]
    texts = {path.relative_to(TEMPLATE).as_posix(): path.read_text("utf-8") for path in own}
    for model in CHOICES["execution_model"]:
        for job in CHOICES["job"]:
            project = bake(execution_model=model, job=job, ci="github", container="yes")
            texts[f"{model}, {job}"] = project.files["README.md"].decode()
    return texts


def is_known(command: str) -> bool:
    return any(re.fullmatch(row, command) for row in (*RUN, *NOT_HERE))


def test_every_command_is_run_or_has_a_reason(bake: Bake) -> None:
    """A new command brings its test, or a row that says why there is none; no row is left over."""
    texts = documents(bake)
    found: set[str] = set()
    for name, text in texts.items():
        # What is run whole has its blocks tested; its text may name more.
        found |= shown(BLOCK.sub("", text) if name in RUN_WHOLE else text)
    assert sorted(command for command in found if not is_known(command)) == []
    unused = [
        row for row in (*RUN, *NOT_HERE) if not any(re.fullmatch(row, each) for each in found)
    ]
    assert unused == []
    assert texts.keys() >= RUN_WHOLE.keys()


def test_the_tests_named_exist(bake: Bake) -> None:
    """Of the template, or of some generated project."""
    generated = [
        bake(execution_model=model, job=job).path / "tests"
        for model in CHOICES["execution_model"]
        for job in CHOICES["job"]
    ]
    for named in {*RUN.values(), *RUN_WHOLE.values()}:
        file, _, test = named.partition("::")
        paths = [folder / file for folder in (TEMPLATE / "tests", *generated)]
        texts = [path.read_text("utf-8") for path in paths if path.exists()]
        assert any(f"def {test}" in text for text in texts), named


@pytest.fixture
def project(bake_again: Bake) -> BakedProject:
    """Render a project."""
    return bake_again(ci="github")


def block_with(text: str, project: BakedProject) -> str:
    """Return the block of the README that has a text in it."""
    (found,) = [block for block in blocks(project.files["README.md"].decode()) if text in block]
    return found


def test_lint_is_shown_as_ci_runs_it(project: BakedProject) -> None:
    """The README's commands are the workflow's, which are run on what is generated."""
    lint = block_with("ruff check", project).splitlines()
    assert commands(project.path / GITHUB)[: len(lint)] == lint


def test_the_faults_are_run_as_shown(project: BakedProject) -> None:
    """Each of the four ways, on one test that all of them have."""
    block = block_with("-m faults", project)
    one = {"PYTEST_ADDOPTS": "-n0 -k 'test_log_is_reopened'"}
    assert shell(block, project.path, TOOLS, **one).count("1 passed") == len(block.splitlines())


OPTIONS_JOB = """
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def items(inputs: Sequence[str], options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    pattern = options.get("pattern", "*")
    for path in Path(inputs[0]).glob("*/" * (int(options["depth"]) - 1) + pattern):
        yield path.name, str(options)


def work(payload: str) -> str:
    return payload
"""


def test_options_reach_the_job_as_shown(project: BakedProject, tmp_path: Path) -> None:
    """On the command line, in the environment and in the file."""
    (tmp_path / "folder").mkdir()
    for name in ("a.txt", "b.md"):
        (tmp_path / "folder" / name).write_text(name, "utf-8")
    (package,) = (project.path / "src").iterdir()
    (package / "job.py").write_text(OPTIONS_JOB, "utf-8")
    inputs = str(tmp_path)
    by_hand, by_environ = block_with("--job-option", project).replace("INPUTS", inputs).splitlines()
    assert "1 done, 0 failed" in shell(by_hand, project.path, project.bin)
    assert "1 done, 0 failed" in shell(by_environ, project.path, project.bin)
    (table,) = re.findall(r"^```toml\n(\[job\].*?)^```", readme(project), re.MULTILINE | re.DOTALL)
    (project.path / f"{project.slug}.toml").write_text(table, "utf-8")
    again = shell(f"{project.slug} run --redo {inputs}", project.path, project.bin)
    assert "1 done, 0 failed" in again


def readme(project: BakedProject) -> str:
    return project.files["README.md"].decode()


@pytest.mark.parametrize("extra", ["chart", "metrics"])
def test_extras_are_installed_as_shown(project: BakedProject, extra: str) -> None:
    """By uv and by pip, from the project's folder."""
    module = {"chart": "matplotlib", "metrics": "prometheus_client"}[extra]
    ways = [
        way for way in shown(readme(project)) if re.fullmatch(rf"(uv|pip) .*\b{extra}\b.*", way)
    ]
    assert len(ways) == 2
    for way in ways:
        command = way.replace("pip install", "uv pip install")
        shell(f"uv venv --quiet --clear; {command}", project.path, TOOLS)
        shell(f".venv/bin/python -c 'import file_digest, {module}'", project.path)
