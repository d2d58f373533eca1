"""A project rendered from this template, and what a test may want to do with it."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from uv import find_uv_bin

TEMPLATE = Path(__file__).parent.parent
"""The template's own repository."""


def clean_environ() -> dict[str, str]:
    """Return this process's environment without what would leak from one Python into another."""
    leaks = ("COV_", "PYTEST_", "PYTHON", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")
    return {name: value for name, value in os.environ.items() if not name.startswith(leaks)}


def run(
    *command: str | Path, cwd: Path, check: bool = True, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, with more in its environment, and return its output.

    Raises:
        AssertionError: With all of the output, if `check` is set and the command fails.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        env=clean_environ() | dict(environ or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    shown = " ".join(map(str, command))
    assert not check or done.returncode == 0, f"{shown}: exit {done.returncode}\n{done.stdout}"
    return done


@dataclass(frozen=True)
class BakedProject:
    """One rendered project.

    Attributes:
        path: Its folder.
        files: What was rendered, by path relative to the folder.
    """

    path: Path
    files: dict[str, bytes]

    @classmethod
    def at(cls, path: Path) -> "BakedProject":
        """Take a folder that has just been rendered."""
        files = (file for file in path.rglob("*") if file.is_file())
        return cls(path, {file.relative_to(path).as_posix(): file.read_bytes() for file in files})

    @property
    def slug(self) -> str:
        """The project's folder and console command."""
        return self.path.name

    @property
    def code(self) -> dict[str, bytes]:
        """Those of its files that are Python."""
        return {name: content for name, content in self.files.items() if name.endswith(".py")}

    @cached_property
    def bin(self) -> Path:
        """Install the project with its tools into an environment of its own.

        uv links files from its cache, so that this costs a second and no download.
        """
        uv = find_uv_bin()
        run(uv, "venv", "--quiet", cwd=self.path)
        run(uv, "pip", "install", "--quiet", "--editable", ".", "--group", "dev", cwd=self.path)
        return self.path / ".venv" / ("Scripts" if os.name == "nt" else "bin")

    def install(self, *what: str) -> None:
        """Install more into that environment."""
        install = ("pip", "install", "--quiet", "--python", self.bin / "python")
        run(find_uv_bin(), *install, *what, cwd=self.path)

    def run(
        self,
        command: str,
        *arguments: str | Path,
        check: bool = True,
        environ: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the project's environment in its folder."""
        return run(self.bin / command, *arguments, cwd=self.path, check=check, environ=environ)

    def run_tests(self, *arguments: str, environ: Mapping[str, str] | None = None) -> str:
        """Run the tests that the project was generated with, faults too; return what they print."""
        # A folder of their own: pytest clears up old ones, of sessions that run meanwhile, too.
        with TemporaryDirectory(prefix="tests-") as folder:
            own = {**(environ or {}), "PYTEST_DEBUG_TEMPROOT": folder}
            return self.run("pytest", "-q", "-m", "", *arguments, environ=own).stdout
