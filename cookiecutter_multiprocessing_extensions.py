"""Puts this revision's answers module to work in each Jinja environment that cookiecutter builds.

`cruft update` renders a project's own revision and then the latest, in one process and from one
folder; other programs render this template and a fork of it. The module that `_extensions` names
stays imported meanwhile, and the first one's code would check and render the other. So this module
stays as it is, and what changes is read anew, from the template that is being rendered.

An older Python is refused here, before it reads what it does not understand. So this module has
to be one that Python 3.7 reads, the oldest that cookiecutter 2.1 runs on.
"""

from __future__ import annotations

import sys
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from cookiecutter.exceptions import FailedHookException
from jinja2.ext import Extension

if TYPE_CHECKING:
    from jinja2 import Environment

OLDEST_PYTHON = (3, 10)
NAME = "cookiecutter_multiprocessing_answers.py"


class Answers(Extension):
    """Checks every answer at every rendering, and renders no answer as a template."""

    def __init__(self, environment: Environment) -> None:
        """Prepare one of cookiecutter's environments.

        Raises:
            FailedHookException: With one line, before anything is asked or written.
        """
        super().__init__(environment)
        check_python()
        file = answers_file()
        self.answers = ModuleType(file.stem)
        self.answers.__file__ = str(file)
        code = compile(file.read_text("utf-8"), str(file), "exec")
        # importlib would take the old revision's bytecode for a file of equal size and second.
        exec(code, self.answers.__dict__)  # noqa: S102 - it is a file of this template
        self.answers.prepare(environment)

    def preprocess(self, source: str, name: str | None, _filename: str | None = None) -> str:
        """Make a literal of a source that is not this template's own."""
        prepared: str = self.answers.as_source(self.environment, source, name)
        return prepared


def check_python() -> None:
    """Refuse a Python on which this template does not render."""
    if sys.version_info < OLDEST_PYTHON:
        oldest, running = (".".join(map(str, one[:2])) for one in (OLDEST_PYTHON, sys.version_info))
        raise FailedHookException(
            f"cookiecutter runs on Python {running} here; this template needs {oldest} or newer, "
            f"as in: uvx --python 3.13 cookiecutter"
        )


def answers_file() -> Path:
    """Return the answers module of the template that is being rendered.

    The engine has put its folder at the end of the path. What lies beside this file may be another
    template's, which was rendered before or is the working directory.
    """
    beside = Path(__file__).parent
    folders = chain.from_iterable(map(_places, reversed(sys.path)))
    return next(filter(Path.is_file, (place / NAME for place in folders)), beside / NAME)


def _places(folder: str) -> tuple[Path, ...]:
    """Return where a folder of the path may be: the engine renders hooks within a relative one."""
    path = Path(folder)
    return (path,) if path.is_absolute() else (path, Path.cwd())
