"""Names that would make a broken project are refused in one line, before anything is written."""

import os
import re
import tomllib
from pathlib import Path

import pytest
from baked import TEMPLATE, BakedProject
from command_line import ANSWERS, Way, refuse
from conftest import CHOICES, Bake
from cookiecutter.exceptions import FailedHookException
from tools import use

from cookiecutter_multiprocessing_answers import TAKEN

LIST = TEMPLATE / "dependencies.txt"
DEPENDENCY = "is a dependency of the generated project"
POSSIBLE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
REFUSED = {
    "": "lower-case ASCII",
    " ": "lower-case ASCII",
    "-": "lower-case ASCII",
    "3d": "a letter first",
    "Photo": "lower-case ASCII",
    "a.b": "lower-case ASCII",
    "a b": "lower-case ASCII",
    "a'b": "lower-case ASCII",
    "a\nb": "lower-case ASCII",
    "photo\n": "lower-case ASCII",
    "..": "lower-case ASCII",
    "../escape": "lower-case ASCII",
    "/absolute": "lower-case ASCII",
    "a\\b": "lower-case ASCII",
    "a:b": "lower-case ASCII",
    "~": "lower-case ASCII",
    "café": "lower-case ASCII",
    "日本": "lower-case ASCII",
    "{{ 7 }}": "lower-case ASCII",
    "{%": "lower-case ASCII",
    "\udcff": "not valid Unicode",
    "a" * 51: "more than 50 characters",
    "class": "Python keyword",
    "none": "Python keyword",
    "match": "Python keyword",
    "lazy": "Python keyword",
    "json": "standard library",
    "multiprocessing": "standard library",
    "distutils": "standard library",
    "compression": "standard library",
    "con": "device name on Windows",
    "nul": "device name on Windows",
    "com1": "device name on Windows",
    "click": "dependency",
    "rich": "dependency",
    "dask": "dependency",
    "python": "virtual environment",
    "activate": "virtual environment",
    "test": "generated project uses itself",
    "tests": "generated project uses itself",
    "src": "generated project uses itself",
    "conftest": "generated project uses itself",
    "pyproject": "generated project uses itself",
    "numpy": "dependency",
    "private": "systemd keeps for itself",
}
REFUSED_SLUGS = REFUSED | {
    "one-log": "generated project uses itself",
    "a_b": "joined by -",
    "a--b": "joined by -",
    "-a": "joined by -",
    "a-": "joined by -",
    "python-json-logger": "dependency",
    "typing-extensions": "dependency",
    "types-psutil": "dependency",
    "dask-worker": "command of dask",
    "dask-scheduler": "command of dask",
    "py-spy": "dependency",
    "ssh": "service of many systems",
    "sshd": "service of many systems",
    "cron": "service of many systems",
    "docker": "service of many systems",
    "nginx": "service of many systems",
    "systemd-journald": "service of many systems",
}
REFUSED_PACKAGES = REFUSED | {
    "one_log": "generated project uses itself",
    "gil_example": "generated project uses itself",
    "a-b": "joined by _",
    "a__b": "joined by _",
    "_a": "joined by _",
    "a_": "joined by _",
    "pythonjsonlogger": "dependency",
    "markdown_it": "dependency",
    "sitecustomize": "virtual environment",
}


@pytest.mark.parametrize(("name", "reason"), REFUSED_SLUGS.items())
def test_slug_is_refused(bake: Bake, name: str, reason: str) -> None:
    """One line names the question, the name, what is wrong, and shows a name that would do."""
    with pytest.raises(FailedHookException) as refused:
        bake(project_slug=name)
    assert_one_helpful_line(str(refused.value), "project_slug", reason)


@pytest.mark.parametrize(("name", "reason"), REFUSED_PACKAGES.items())
def test_package_name_is_refused(bake: Bake, name: str, reason: str) -> None:
    """The import name is judged like the slug, and by itself."""
    with pytest.raises(FailedHookException) as refused:
        bake(package_name=name)
    assert_one_helpful_line(str(refused.value), "package_name", reason)


def assert_one_helpful_line(message: str, question: str, reason: str) -> None:
    assert message.startswith(question)
    assert reason in message
    assert "like '" in message or "UTF-8" in message
    assert message.isprintable()
    assert len(message) < 200


@pytest.mark.parametrize(
    "name", ["x", "x1", "a" * 50, "photo-index-2", "service", "limits", "ssh-jobs"]
)
def test_unusual_names_are_fine(bake: Bake, name: str) -> None:
    """A name of one letter, of the greatest length, with digits, or of a test's helper is fine."""
    project = bake(project_slug=name)
    assert project.slug == name
    assert f"src/{name.replace('-', '_')}/job.py" in project.files


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Photo Index", "photo-index"),
        ("Café Zoë", "cafe-zoe"),
        ("Ünïcödé, Ltd.", "unicode-ltd"),
        ("Привет мир", "privet-mir"),
        ("日本語", "ri-ben-yu"),
        ("  spaced   out  ", "spaced-out"),
        ("Rock'n'Roll", "rock-n-roll"),
    ],
)
def test_a_name_in_any_script_derives_a_slug(bake: Bake, name: str, slug: str) -> None:
    """People's names for things become names that computers take."""
    assert bake(project_name=name).slug == slug


@pytest.mark.parametrize("name", ["🎉", "...", "3D", "JSON", "x" * 51, "CON"])
def test_a_name_that_derives_no_slug_is_refused_with_advice(bake: Bake, name: str) -> None:
    """The derived slug is checked like one that was typed."""
    with pytest.raises(FailedHookException, match=r"^project_slug .*like '"):
        bake(project_name=name)


@pytest.mark.parametrize("name", ["", " ", "\n\t"])
def test_a_blank_project_name_is_refused(bake: Bake, name: str) -> None:
    """A README needs a title."""
    with pytest.raises(FailedHookException, match=r"^project_name .*must not be blank"):
        bake(project_name=name, project_slug="photo-index")


@pytest.fixture(scope="module")
def installed(bake_again: Bake) -> set[str]:
    """Return the names of all that some project has beside it."""
    questions = ("execution_model", "job")
    choices = ({question: choice} for question in questions for choice in CHOICES[question])
    projects = (bake_again(**choice) for choice in choices)
    return {name.lower().replace("-", "_") for project in projects for name in beside(project)}


def beside(project: BakedProject) -> set[str]:
    """Install a project with all its extras and groups and its build backend.

    Returns:
        Distributions, of other systems and Pythons too, packages and commands: a project that is
        named like one of them could not be locked, or would overwrite it.
    """
    metadata = tomllib.loads(project.files["pyproject.toml"].decode())
    groups = [word for group in metadata["dependency-groups"] for word in ("--group", group)]
    extras = ",".join(metadata["project"]["optional-dependencies"])
    project.install("--editable", f".[{extras}]", *groups, *metadata["build-system"]["requires"])
    use("uv", "lock", "--quiet", cwd=project.path)
    locked = tomllib.loads((project.path / "uv.lock").read_text("utf-8"))["package"]
    own = {project.slug, project.slug.replace("-", "_")}
    code = "import importlib.metadata as m; print(*m.packages_distributions(), sep='\\n')"
    packages = project.run("python", "-c", code).stdout.split()
    commands = {command.stem.replace("-", "_") for command in project.bin.iterdir()}
    return {package["name"] for package in locked}.union(packages, commands) - own


def test_each_dependency_is_listed_and_nothing_else(installed: set[str]) -> None:
    """`make names` (UPDATE_NAMES=1) writes the list anew."""
    for_other_reasons = {name for why in TAKEN if why != DEPENDENCY for name in TAKEN[why]}
    names = {*filter(POSSIBLE.fullmatch, installed)} - for_other_reasons
    if os.environ.get("UPDATE_NAMES"):
        LIST.write_text("".join(f"{name}\n" for name in sorted(names)), "utf-8")
    listed = {*LIST.read_text("utf-8").split()}
    assert not names - listed, f"missing: {sorted(names - listed)}; run: make names"
    assert not listed - names, f"needless: {sorted(listed - names)}; run: make names"


def test_every_listed_dependency_is_refused(bake: Bake) -> None:
    """The list is what the check reads."""
    listed = LIST.read_text("utf-8").split()
    assert "numpy" in listed
    assert [name for name in listed if not is_refused(bake, name)] == []


def is_refused(bake: Bake, name: str) -> bool:
    try:
        bake(package_name=name)
    except FailedHookException:
        return True
    return False


WAYS = {
    "prompt": Way((), typed="Photo Index\ncon\n\n"),
    "prompt, derived": Way((), typed="Con\n\n\n"),
    "command line": Way(("--no-input", "project_slug=con")),
    "command line, derived": Way(("--no-input", "project_name=Con")),
    "command line, without hooks": Way(("--no-input", "--accept-hooks=no", "project_slug=con")),
    "user config": Way(config={"project_slug": "con"}),
    "user config, derived": Way(config={"project_name": "Con"}),
    "replay": Way((), replayed=ANSWERS | {"project_slug": "con"}),
    "replay, without hooks": Way(
        ("--accept-hooks=no",), replayed=ANSWERS | {"project_slug": "con"}
    ),
    "private variable": Way(("--no-input", "__year=1815", "_new_lines=x", "project_slug=con")),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_name_is_refused_whichever_way_it_came(template: Path, tmp_path: Path, way: Way) -> None:
    """One line, exit code 1, nothing written and no traceback."""
    shown = refuse(template, tmp_path, way)
    message = "project_slug 'con' is a device name on Windows; choose another, like 'con-service'\n"
    assert shown.endswith(message)
    assert way.typed or shown == message


def test_a_replay_file_cannot_leave_the_check_out(template: Path, tmp_path: Path) -> None:
    """The engine loads the extension that a replay file names; a hook looks after that."""
    answers = ANSWERS | {"project_slug": "con", "_extensions": []}
    shown = refuse(template, tmp_path, Way((), replayed=answers))
    ours = "cookiecutter_multiprocessing_extensions.Answers"
    assert shown.startswith(f"_extensions must list '{ours}'; answer the questions again")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_refused_name_is_shown_on_any_terminal(
    template: Path, tmp_path: Path, encoding: str
) -> None:
    """Characters that a terminal cannot show are escaped, without a traceback."""
    environ = {"PYTHONIOENCODING": encoding}
    way = Way(("--no-input", "project_slug=日本"), environ=environ)
    (line,) = refuse(template, tmp_path, way).splitlines()
    shown = "日本" if encoding == "utf-8" else "\\u65e5\\u672c"
    assert line.startswith(f"project_slug '{shown}' must be lower-case ASCII")


@pytest.mark.parametrize("year", ["", "now", "20260", None, "\udcff"])
def test_a_year_is_four_digits(template: Path, tmp_path: Path, year: object) -> None:
    """A replay file may hold anything there, too; nothing is written."""
    (line,) = refuse(template, tmp_path, Way((), replayed=ANSWERS | {"__year": year})).splitlines()
    assert line.startswith("__year ")


def test_of_many_bad_answers_the_first_is_named(template: Path, tmp_path: Path) -> None:
    """In the order of asking, so that people who mend one after another get on."""
    bad = dict.fromkeys(("license", "package_name", "project_slug", "ci"), "NO")
    shown = refuse(template, tmp_path, Way((), replayed={**ANSWERS, **bad}))
    assert shown.startswith("project_slug 'NO' ")
