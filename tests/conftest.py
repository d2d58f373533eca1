"""Renders every combination of answers once for each session."""

import json
import shutil
import signal
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from _pytest.mark import ParameterSet
from baked import TEMPLATE, BakedProject, run
from hypothesis import HealthCheck, settings
from uv import find_uv_bin

from benchmarks.rendered import copy_template

QUESTIONS: dict[str, Any] = json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))
CHOICES: dict[str, list[str]] = {
    question: asked
    for question, asked in QUESTIONS.items()
    if isinstance(asked, list) and not question.startswith("_")
}


Value = TypeVar("Value")
THOROUGH = pytest.mark.thorough

settings.register_profile(
    "brief", max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("brief"), max_examples=200)
settings.load_profile("brief")


def first_always(values: Sequence[Value]) -> list[Value | ParameterSet]:
    """Run a test with the first of some values; with the others only in a thorough run."""
    return [values[0], *(pytest.param(value, marks=THOROUGH) for value in values[1:])]


def pytest_configure() -> None:
    """Heed the signals that whoever started the tests ignores: nohup(1), or a shell's ``&``.

    The services that the tests start would ignore them, too, as they promise.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) == signal.SIG_IGN:
            default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, default)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, so that at the end no core waits for it."""
    long = ("test_generated_tests_pass", "test_any_text_comes_back", "test_the_jobs_own_tests_pass")
    items.sort(key=lambda item: not item.name.startswith(long))


class Bake(Protocol):
    """Renders with the default answers, but for those given."""

    def __call__(self, **answers: str) -> BakedProject:
        """Return the project.

        Raises:
            cookiecutter.exceptions.CookiecutterException: If the template refuses an answer.
        """


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the template without what tools have left in the checkout."""
    return copy_template(tmp_path_factory.mktemp("template") / TEMPLATE.name)


@pytest.fixture(scope="session")
def bake_again(cookies_session: Any, template: Path) -> Bake:
    """Render into a new folder at every call.

    Without hooks: they write nothing, and each costs as much as all the rest.
    """
    without_hooks = template.parent / "without-hooks"
    shutil.copytree(template, without_hooks, ignore=shutil.ignore_patterns("hooks"))

    def bake(**answers: str) -> BakedProject:
        result = cookies_session.bake(extra_context=answers, template=str(without_hooks))
        if result.exception:
            raise result.exception
        return BakedProject.at(result.project_path)

    return bake


@pytest.fixture(scope="session")
def bake(bake_again: Bake) -> Bake:
    """Render each combination once in a session."""

    @cache
    def bake_once(answers: str) -> BakedProject:
        return bake_again(**json.loads(answers))

    return lambda **answers: bake_once(json.dumps(answers, sort_keys=True))


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an interpreter that has what the benchmarks need, as pinned."""
    folder, uv = tmp_path_factory.mktemp("peers"), find_uv_bin()
    requirements = TEMPLATE / "benchmarks" / "requirements.txt"
    run(uv, "venv", "--quiet", ".venv", cwd=folder)
    run(uv, "pip", "install", "--quiet", "--requirement", requirements, cwd=folder)
    return folder / ".venv" / "bin" / "python"
