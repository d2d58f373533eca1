"""The template lives beside others, and forks of it may add what cookiecutter knows."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from baked import BakedProject, clean_environ
from command_line import ANSWERS, Way, refuse, render
from conftest import QUESTIONS, Bake
from repository import Repository

PROJECT = "{{cookiecutter.project_slug}}"
FOREIGN = "raise SystemExit('another module of that name was imported')\n"
NAMES = ("answers.py", "extensions.py")
MODULES = ("cookiecutter_multiprocessing_answers.py", "cookiecutter_multiprocessing_extensions.py")
MODULE = (sys.executable, "-m", "cookiecutter")


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """Return a folder with modules of names that other templates use."""
    folder = tmp_path / "crowded"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_text(FOREIGN, "utf-8")
    return folder


@pytest.fixture
def fork(template: Path, tmp_path: Path) -> Path:
    """Copy the template to change it."""
    return Path(shutil.copytree(template, tmp_path / "fork"))


def change(template: Path, **questions: object) -> None:
    """Add questions to a template, before its own private ones."""
    file = template / "cookiecutter.json"
    asked: dict[str, Any] = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({**asked, **questions}), "utf-8")


def show(template: Path, source: str) -> None:
    """Make a template generate one more file, shown.txt."""
    (template / PROJECT / "shown.txt").write_text(source, "utf-8")


def shown(folder: Path) -> str:
    """Return that file of what was rendered."""
    return (folder / "output" / "file-digest" / "shown.txt").read_text("utf-8")


def test_its_modules_have_names_of_their_own(template: Path) -> None:
    """Python takes the first module of a name, and a template's folder comes last on its path."""
    assert sorted(path.name for path in template.glob("*.py")) == list(MODULES)


@pytest.mark.parametrize("way", ["python -m cookiecutter", "PYTHONPATH"])
def test_modules_of_other_projects_are_not_in_the_way(
    template: Path, tmp_path: Path, crowded: Path, bake: Bake, way: str
) -> None:
    """Whatever `extensions` or `answers` is there, the template's own code renders."""
    ways = {
        "python -m cookiecutter": Way(engine=MODULE, cwd=crowded),
        "PYTHONPATH": Way(environ={"PYTHONPATH": str(crowded)}),
    }
    done = render(template, tmp_path, ways[way])
    assert done.returncode == 0, done.stdout
    assert BakedProject.at(tmp_path / "output" / "file-digest").files == bake().files


@pytest.mark.parametrize("relative", [False, True])
def test_a_fork_is_rendered_by_its_own_code(
    template: Path, fork: Path, tmp_path: Path, *, relative: bool
) -> None:
    """Also from within a clone of the original, whose modules Python finds first."""
    change(fork, team="{{ cookiecutter.project_name }} team")
    show(fork, "{{ cookiecutter.team }}")
    (fork / "hooks" / "post_gen_project.py").write_text("print('{{ cookiecutter.team }}')\n")
    named = Path("..", "fork") if relative else fork
    here = shutil.copytree(template, tmp_path / "original")
    done = render(named, tmp_path, Way(engine=MODULE, cwd=here))
    assert done.returncode == 0, done.stdout
    assert shown(tmp_path) == "File Digest team"
    assert done.stdout.splitlines()[-1] == "File Digest team"


def test_template_and_fork_render_in_one_process(
    template: Path, fork: Path, tmp_path: Path, bake: Bake
) -> None:
    """As an update or a portal does: the one that came first does not check the other."""
    file = fork / "cookiecutter.json"
    file.write_text(file.read_text("utf-8").replace('"github"', '"circle"'), "utf-8")
    show(fork, "{{ cookiecutter.ci }}")
    code = """
import sys
from cookiecutter.main import cookiecutter
for template, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    cookiecutter(template, no_input=True, default_config=True, output_dir=folder)
"""
    first, last = tmp_path / "first", tmp_path / "last"
    order = (template, first, fork, tmp_path / "output", template, last)
    environ = clean_environ() | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code, *order], env=environ, check=True)
    assert shown(tmp_path) == "circle"
    for folder in (first, last):
        assert BakedProject.at(folder / "file-digest").files == bake().files


ORDINARY: dict[str, tuple[dict[str, object], str, str]] = {
    "copied without rendering": (
        {"_copy_without_render": ["*.txt"]},
        "{{ not rendered }}",
        "{{ not rendered }}",
    ),
    "a private text": ({"_version": "{{ 1 }}"}, "{{ cookiecutter._version }}", "{{ 1 }}"),
    "options of Jinja": (
        {"_jinja2_env_vars": {"comment_start_string": "<##", "comment_end_string": "##>"}},
        "<## a comment ##>{# none #}",
        "{# none #}",
    ),
    "yes": ({"with_docs": True}, "{{ cookiecutter.with_docs }}", "True"),
    "no": ({"with_docs": False}, "{{ cookiecutter.with_docs }}", "False"),
    "a number": ({"port": 8080}, "{{ cookiecutter.port }}", "8080"),
    "a dict": (
        {"hosts": {"{{ cookiecutter.project_slug }}": {"os": "{{ cookiecutter.ci }}"}}},
        "{{ cookiecutter.hosts['file-digest'].os }}",
        "github",
    ),
    "two dicts": (
        {"one": {"a": "{{ cookiecutter.ci }}"}, "other": {"b": "{{ cookiecutter.one.a }}"}},
        "{{ cookiecutter.other.b }}",
        "github",
    ),
    "a derived dict": (
        {"__hosts": {"a": "{{ cookiecutter.project_slug }}"}},
        "{{ cookiecutter.__hosts.a }}",
        "file-digest",
    ),
    "a derived list": (
        {"__names": ["{{ cookiecutter.project_slug }}", "b"]},
        "{{ cookiecutter.__names | join(' ') }}",
        "file-digest b",
    ),
    "choices that are derived": (
        {"host": ["{{ cookiecutter.project_slug }}.example.org", "localhost"]},
        "{{ cookiecutter.host }}",
        "file-digest.example.org",
    ),
    "two questions of one default": (
        {"tag": "{{ cookiecutter.ci }}", "label": "{{ cookiecutter.ci }}"},
        "{{ cookiecutter.tag }} {{ cookiecutter.label }}",
        "github github",
    ),
}


@pytest.mark.parametrize("way", [Way(), Way((), typed="\n" * 30)], ids=["defaults", "typed"])
@pytest.mark.parametrize("row", ORDINARY)
def test_a_fork_may_add_what_cookiecutter_knows(
    fork: Path, tmp_path: Path, row: str, way: Way
) -> None:
    """Each means what it means elsewhere, answered by default or by hand."""
    questions, source, text = ORDINARY[row]
    change(fork, **questions)
    show(fork, source)
    done = render(fork, tmp_path, way)
    assert done.returncode == 0, done.stdout
    assert shown(tmp_path) == text


def test_such_questions_may_stand_between_ours(fork: Path, tmp_path: Path) -> None:
    """The engine asks for dicts last, wherever they stand; what others derive is known then."""
    first = {"project_name": "File Digest", "hosts": {"a": "{{ cookiecutter.ci }}"}, "docs": True}
    (fork / "cookiecutter.json").write_text(json.dumps(first | QUESTIONS), "utf-8")
    show(fork, "{{ cookiecutter.hosts.a }} {{ cookiecutter.docs }}")
    done = render(fork, tmp_path, Way())
    assert done.returncode == 0, done.stdout
    assert shown(tmp_path) == "github True"


def test_a_forks_questions_are_checked_like_ours(fork: Path, tmp_path: Path) -> None:
    """A text that is no Unicode, and a choice that is none in a replay file, are refused."""
    change(fork, team="core", size=["small", "large"])
    (line,) = refuse(fork, tmp_path, Way(("--no-input", "team=\udcff"))).splitlines()
    assert line == "team '\\udcff' is not valid Unicode; use a terminal and files in UTF-8"
    answers = ANSWERS | {"team": "core", "size": "huge"}
    (line,) = refuse(fork, tmp_path, Way((), replayed=answers)).splitlines()
    assert line == "size 'huge' must be one of: small, large"


def test_git_sees_what_a_contributor_adds(template: Path, tmp_path: Path) -> None:
    """The generated project's own rules of what git takes are none for the template."""
    repository = Repository.begin(Path(shutil.copytree(template, tmp_path / "template")))
    new = f"{PROJECT}/{{% if cookiecutter.ci == 'none' %}}NEW{{% endif %}}"
    (repository.path / new).write_text("new\n", "utf-8")
    assert "NEW" in repository.git("status", "--short")
