"""Puts this revision's answers.py to work in each Jinja environment that cookiecutter builds.

`cruft update` renders a project's own revision and then the latest, in one process and from one
folder. The module that `_extensions` names stays imported meanwhile, and the old one's code would
check and render the new one. So this module stays as it is, and what changes is read anew.
"""

from pathlib import Path
from types import ModuleType

from jinja2 import Environment
from jinja2.ext import Extension

ANSWERS = Path(__file__).with_name("answers.py")


class Answers(Extension):
    """Checks every answer at every rendering, and renders no answer as a template."""

    def __init__(self, environment: Environment) -> None:
        """Prepare one of cookiecutter's environments."""
        super().__init__(environment)
        self.answers = ModuleType(ANSWERS.stem)
        self.answers.__file__ = str(ANSWERS)
        code = compile(ANSWERS.read_text("utf-8"), ANSWERS, "exec")
        # importlib would take the old revision's bytecode for a file of equal size and second.
        exec(code, self.answers.__dict__)  # noqa: S102 - it is a file of this template
        self.answers.prepare(environment)

    def preprocess(self, source: str, name: str | None, _filename: str | None = None) -> str:
        """Make a literal of a source that is not this template's own."""
        prepared: str = self.answers.as_source(self.environment, source, name)
        return prepared
