"""Do what `docker build` does with a generated project, in plain folders, without an engine."""

import json
import re
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from baked import clean_environ, run
from tools import TOOLS

INIT = """
import ctypes, os, signal, sys

PR_SET_CHILD_SUBREAPER = 36
assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
service = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, lambda number, _: os.kill(service, number))
code = 0
try:
    while True:
        pid, status = os.wait()
        if pid == service:
            code = os.waitstatus_to_exitcode(status)
            signal.alarm(2)  # the promise: within 2 seconds of main's end no process is left
except ChildProcessError:
    sys.exit(code)
"""
"""Starts a service as a container's runtime does: its orphans come to it, and must end.

It also stands in for tini on a machine that has none.
"""


@dataclass(frozen=True)
class Instruction:
    """One line of a Dockerfile, continuation lines joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The arguments: of the JSON form or of the shell form."""
        words: list[str] = json.loads(self.text) if self.text[:1] == "[" else shlex.split(self.text)
        return words


@dataclass(frozen=True)
class Dockerfile:
    """The stages of a Dockerfile."""

    stages: list[list[Instruction]]

    @classmethod
    def parse(cls, text: str) -> "Dockerfile":
        """Split a Dockerfile into its stages."""
        code = "\n".join(line for line in text.splitlines() if line.strip() and line[0] != "#")
        stages: list[list[Instruction]] = []
        for line in re.sub(r"\\\n\s*", "", code).splitlines():
            instruction = Instruction(*line.split(maxsplit=1))
            if instruction.name == "FROM":
                stages.append([])
            stages[-1].append(instruction)
        return cls(stages)

    def last(self, name: str) -> Instruction:
        """Return the instruction of the final stage that is in force."""
        return [step for step in self.stages[-1] if step.name == name][-1]


@dataclass
class Image:
    """The file system of an image, moved below a folder, and how its container starts.

    Attributes:
        project: The folder it was built from.
        root: Stands for the image's `/`.
        dockerfile: What it was built from.
        env: The environment of a container.
    """

    project: Path
    root: Path
    dockerfile: Dockerfile
    env: dict[str, str] = field(default_factory=clean_environ)

    @classmethod
    def build(cls, project: Path, root: Path) -> "Image":
        """Run the build stage of a project's Dockerfile and keep what the final stage copies."""
        image = cls(project, root, Dockerfile.parse((project / "Dockerfile").read_text("utf-8")))
        context = root / "context"
        copy_context(project, context)
        build, final = image.dockerfile.stages[-2:]
        # The interpreter of the base image, and its uv.
        env = image.env | {"UV_PYTHON": sys.executable}
        env["PATH"] = f"{TOOLS}:{env['PATH']}"
        image._run_stage(build, context, env)
        image._keep(*(step.text.split()[-1] for step in final if "--from=build" in step.text))
        image.env |= image._variables(image.dockerfile.last("ENV"), image.env)
        image.data.mkdir()
        return image

    @property
    def data(self) -> Path:
        """The working directory of a container."""
        return self._inside(self.dockerfile.last("WORKDIR").text)

    @property
    def entrypoint(self) -> list[str]:
        """The command of a container: an init, and what is on the image's PATH."""
        init, option, end, *command = self.dockerfile.last("ENTRYPOINT").words
        assert [init, option, end] == ["tini", "-s", "--"]
        tini = shutil.which(init)
        return [*([tini, option, end] if tini else [sys.executable, "-c", INIT]), *command]

    @property
    def service(self) -> list[str]:
        """The command without its init, found on the image's PATH."""
        (command,) = self.dockerfile.last("ENTRYPOINT").words[3:]
        found = shutil.which(command, path=self.env["PATH"])
        assert found, f"{command} is not on the image's PATH"
        return [found]

    def run(self, *arguments: str) -> str:
        """Run a container to its end, which must be a good one; return its standard output."""
        return run(*self.entrypoint, *arguments, cwd=self.data, environ=self.env).stdout

    def python(self, code: str) -> str:
        """Run a line of Python in a container; return what it prints."""
        python = shutil.which("python", path=self.env["PATH"]) or "python"
        return run(python, "-c", code, cwd=self.data, environ=self.env).stdout

    def _inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _variables(self, step: Instruction, env: dict[str, str]) -> dict[str, str]:
        pairs = (word.split("=", 1) for word in step.words)
        moved = ((name, re.sub("^/app", str(self._inside("/app")), value)) for name, value in pairs)
        return {name: value.replace("$PATH", env["PATH"]) for name, value in moved}

    def _run_stage(self, steps: list[Instruction], context: Path, env: dict[str, str]) -> None:
        workdir = self.root
        for step in steps:
            if step.name == "WORKDIR":
                workdir = self._inside(step.text)
                workdir.mkdir()
            elif step.name == "ENV":
                env |= self._variables(step, env)
            elif step.name == "COPY" and "--from=" not in step.text:
                assert step.text == ". ."
                shutil.copytree(context, workdir, dirs_exist_ok=True)
            elif step.name == "RUN":
                run_step(step, context, workdir, env)

    def _keep(self, *paths: str) -> None:
        """Remove all that the final stage does not copy, under the same name, from the build."""
        kept = [self._inside(path) for path in paths]
        assert kept
        for path in self.root.glob("*/*"):
            if path in kept:
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def copy_context(project: Path, context: Path) -> None:
    """Copy what .dockerignore lets through: it is a list of what is wanted."""
    first, *rest = (
        line
        for line in (project / ".dockerignore").read_text("utf-8").splitlines()
        if line and line[0] != "#"
    )
    assert first == "*"
    context.mkdir(parents=True)
    unwanted = [line.removeprefix("**/") for line in rest if line[0] != "!"]
    for wanted in (project / line[1:] for line in rest if line[0] == "!"):
        if wanted.is_dir():
            ignore = shutil.ignore_patterns(*unwanted)
            shutil.copytree(wanted, context / wanted.name, ignore=ignore)
        elif wanted.exists():
            shutil.copy(wanted, context)


def run_step(step: Instruction, context: Path, workdir: Path, env: dict[str, str]) -> None:
    """Run a RUN instruction; what it binds is there while it runs, as in a build."""
    mounts = re.findall(r"--mount=(\S+)", step.text)
    options = [dict(part.split("=") for part in mount.split(",")) for mount in mounts]
    bound = [option for option in options if option["type"] == "bind"]
    for option in bound:
        shutil.copy(context / option["source"], workdir / option["target"])
    command = re.sub(r"--mount=\S+\s*", "", step.text)
    run("/bin/sh", "-ec", command, cwd=workdir, environ=env)
    for option in bound:
        (workdir / option["target"]).unlink()
