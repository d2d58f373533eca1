"""The template itself keeps clear of what makes engines and platforms stumble."""

import re
import tomllib
from pathlib import Path

import pytest
from binaryornot.check import is_binary
from conftest import CHOICES, Bake
from test_render import CONDITION
from tools import use

FOLDER = "{{cookiecutter.project_slug}}"


@pytest.fixture(scope="module")
def paths(template: Path) -> list[Path]:
    """Return every path of the template, relative to its root."""
    return [path.relative_to(template) for path in template.rglob("*")]


def project_files(template: Path) -> list[Path]:
    return [path for path in (template / FOLDER).rglob("*") if path.is_file()]


def test_every_path_can_be_checked_out_anywhere(paths: list[Path]) -> None:
    r"""Windows takes no `"|*?:<>\`, no trailing dot or blank, and no more than 260 characters."""
    bad = [
        path.as_posix()
        for path in paths
        if re.search(r'["|*?:<>\\]|[. ](/|$)', path.as_posix()) or len(path.as_posix()) > 160
    ]
    assert bad == []
    folded = [path.as_posix().lower() for path in paths]
    assert len(set(folded)) == len(folded), "two paths differ in case only"


def test_no_folder_is_conditional(paths: list[Path], template: Path) -> None:
    """A folder whose name renders to nothing ends in its files at the root of the file system."""
    folders = [path for path in paths if (template / path).is_dir()]
    assert [folder for folder in folders if "{%" in folder.name] == []


def test_every_condition_names_a_question_and_a_choice(paths: list[Path]) -> None:
    """A misspelt question or choice would be a file that nobody ever gets."""
    conditional = [path.name for path in paths if "{%" in path.name]
    assert conditional
    for name in conditional:
        found = CONDITION.fullmatch(name)
        assert found, name
        assert found[3] in CHOICES[found[1]], name


def test_no_file_is_taken_for_binary(template: Path) -> None:
    """The engine copies what it takes for binary without rendering it, and says nothing."""
    assert [path for path in project_files(template) if is_binary(str(path))] == []


def test_every_file_is_reached_by_some_combination(template: Path, bake: Bake) -> None:
    """No file is left that no answer brings."""
    each = [{question: choice} for question in CHOICES for choice in CHOICES[question]]
    rendered = {name for answers in each for name in bake(**answers).files}
    written = {
        CONDITION.sub(r"\4", path.relative_to(template / FOLDER).as_posix())
        .replace("{{cookiecutter.package_name}}", "file_digest")
        .replace("{{cookiecutter.project_slug}}", "file-digest")
        # By its own name its rules would hold in the template's repository as well.
        .replace("{{'.gitignore'}}", ".gitignore")
        for path in project_files(template)
    }
    assert written == rendered


def test_python_is_python(template: Path, bake: Bake) -> None:
    """The package is written without Jinja, so it is generated as it stands here."""
    source = template / FOLDER / "src" / "{{cookiecutter.package_name}}"
    for path in source.rglob("*.py*"):
        if path.is_dir() or not path.name.removesuffix("{% endif %}").endswith(".py"):
            continue
        answers = {
            question: choice if operator == "==" else another(question, choice)
            for question, operator, choice, _ in CONDITION.findall(path.name)
        }
        name = CONDITION.sub(r"\4", path.relative_to(source).as_posix())
        assert bake(**answers).files[f"src/file_digest/{name}"] == path.read_bytes(), name


def another(question: str, choice: str) -> str:
    """Return any other choice."""
    return next(one for one in CHOICES[question] if one != choice)


def test_tools_read_the_source_before_it_is_rendered(template: Path) -> None:
    """So that an editor shows in the template what it would show in a project."""
    tomllib.loads((template / FOLDER / "pyproject.toml").read_text("utf-8"))
    # N999 is about the package's name, which is still to be filled in.
    use("ruff", "check", "--no-cache", "--extend-ignore=N999", "src", cwd=template / FOLDER)
