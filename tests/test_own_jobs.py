"""A job of one's own: with job.py and its test replaced, everything else passes as it stands."""

import shutil
from pathlib import Path

import pytest
from baked import BakedProject
from conftest import CHOICES, Bake, first_always
from test_ci import GITHUB, jobs
from test_execute import same_for_all_models

HERE = Path(__file__).parent
JOBS = {
    "orders": HERE / "own_jobs" / "orders.py",
    "primes": HERE / "own_jobs" / "primes.py",
    "texts": HERE / "day_two" / "job.py",
}
"""All that a job may have; all that it must have; one with a model, a server, leaks and prints."""


@pytest.fixture
def project(bake_again: Bake, job: str, execution_model: str) -> BakedProject:
    """Render a project and give it the job, with the job's own test."""
    project = bake_again(ci="github", execution_model=execution_model)
    (package,) = (project.path / "src").iterdir()
    shutil.copy(JOBS[job], package / "job.py")
    shutil.copy(HERE / "own_jobs" / f"{job}_tests.py", project.path / "tests" / "test_job.py")
    return project


def lint_commands(project: BakedProject) -> list[str]:
    """Return what CI checks the code with."""
    steps = jobs(project.path / GITHUB)["lint"]["steps"]
    return [step["run"].removeprefix("uv run ") for step in steps if "run" in step]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("execution_model", first_always(CHOICES["execution_model"]))
@pytest.mark.parametrize("job", first_always([*JOBS]))
def test_nothing_else_needs_to_change(
    bake: Bake, project: BakedProject, execution_model: str
) -> None:
    """Lint, types and layers are clean, all tests are collected, and the daily ones pass.

    What is the same for all models passes with the first. The fault tests have jobs of their own.
    """
    for command in lint_commands(project):
        project.run(*command.split())
    same = same_for_all_models(bake) - {"test_job.py"}
    first = execution_model == CHOICES["execution_model"][0]
    passed = [] if first else [f"--ignore=tests/{name}" for name in sorted(same)]
    assert " passed" in project.run("pytest", "-q", *passed).stdout


def test_only_the_jobs_own_test_knows_the_job(bake: Bake) -> None:
    """Tests of the machinery bring their own jobs, so that another job.py breaks none of them."""
    code = bake().code
    knowing = ("import job", "file_digest.job", "service(None)")
    tests = {name for name in code if name.startswith("tests/")}
    known = {name for name in tests if any(word.encode() in code[name] for word in knowing)}
    assert known == {"tests/test_job.py"}
