"""Versions of cookiecutter and Python that render the template, and the errors of others."""

import os
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from baked import TEMPLATE, BakedProject, run
from command_line import Way, refuse, render
from conftest import Bake
from tools import use

Engine = Callable[[str, str], tuple[str | Path, ...]]
PYENV = Path.home() / ".pyenv" / "versions"
THIS_PYTHON = "{}.{}".format(*sys.version_info)
WORKING = [("2.1.1", THIS_PYTHON), ("2.6.0", "3.10"), ("2.7.1", "3.10"), ("2.7.1", "3.13")]
TOO_OLD = [("2.1.1", "3.7"), ("2.1.1", "3.8"), ("2.6.0", "3.8"), ("2.6.0", "3.9")]


def interpreter(version: str) -> Path:
    """Return a Python of this version; skip the test where none is at hand."""
    if version == THIS_PYTHON:
        return Path(sys.executable)
    for python in sorted(PYENV.glob(f"{version}.*/bin/python")):
        return python
    found = use("uv", "python", "find", "--no-project", version, cwd=TEMPLATE, check=False)
    if found.returncode != 0:
        pytest.skip(f"Python {version} is not at hand")
    return Path(found.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """Install each version of cookiecutter on a version of Python once; return its command."""

    @cache
    def install(version: str, python: str) -> tuple[str | Path, ...]:
        folder = tmp_path_factory.mktemp("engine")
        uv = ("uv", "venv", "--quiet", "--clear", "--no-project", "--python", interpreter(python))
        use(*uv, folder, cwd=folder)
        command = folder / ("Scripts" if os.name == "nt" else "bin") / "cookiecutter"
        install = ("pip", "install", "--quiet", "--python", command.with_name("python"))
        use("uv", *install, f"cookiecutter=={version}", cwd=folder)
        return (command,)

    return install


@pytest.mark.parametrize("versions", WORKING, ids=" on ".join)
def test_what_the_readme_names_renders(
    engine: Engine, template: Path, tmp_path: Path, bake: Bake, versions: tuple[str, str]
) -> None:
    """The oldest cookiecutter and the oldest Python make the same project, and refuse the same."""
    tool = engine(*versions)
    done = render(template, tmp_path, Way(engine=tool))
    assert done.returncode == 0, done.stdout
    assert BakedProject.at(tmp_path / "output" / "file-digest").files == bake().files
    (tmp_path / "bad").mkdir()
    options = ("--no-input", "author_email=nobody")
    (line,) = refuse(template, tmp_path / "bad", Way(options, engine=tool)).splitlines()
    assert line.startswith("author_email 'nobody' is not an e-mail address")


@pytest.mark.parametrize(("version", "python"), TOO_OLD)
def test_an_older_python_is_refused(
    engine: Engine, template: Path, tmp_path: Path, version: str, python: str
) -> None:
    """One line, before anything is asked; nothing is written."""
    tool = engine(version, python)
    for options in (("--no-input",), ("--no-input", "--accept-hooks=no"), ()):
        assert refuse(template, tmp_path, Way(options, engine=tool)) == (
            f"cookiecutter runs on Python {python} here; this template needs 3.10 or newer, "
            "as in: uvx --python 3.13 cookiecutter\n"
        )


def test_cookiecutter_1_is_refused(engine: Engine, template: Path, tmp_path: Path) -> None:
    """It knows no template's own extensions: its own one line names the module that it lacks."""
    (command,) = engine("1.7.3", THIS_PYTHON)
    options = ("--no-input", "--default-config", "--output-dir", tmp_path / "output")
    environ = {"HOME": str(tmp_path)}
    done = run(command, template, *options, cwd=tmp_path, check=False, environ=environ)
    missing = "No module named 'cookiecutter_multiprocessing_extensions'"
    assert (done.returncode, done.stdout) == (1, f"Unable to load extension: {missing}\n")
    assert not (tmp_path / "output").exists()


def test_the_readme_names_these_versions() -> None:
    """The oldest that are named are those that the tests try."""
    readme = (TEMPLATE / "README.md").read_text("utf-8")
    named = re.search(r"cookiecutter (\S+) or newer on Python (\S+) or newer", readme)
    assert named
    oldest_engine = min(WORKING)[0]
    assert (named[1], named[2]) == (oldest_engine, "3.10")
