"""Renders the way people do: by cookiecutter's own command."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from baked import clean_environ
from tools import TOOLS

ANSWERS = {
    "project_name": "Photo Index",
    "project_slug": "photo-index",
    "package_name": "photo_index",
    "description": "",
    "author_name": "Ada",
    "author_email": "ada@example.org",
    "execution_model": "process",
    "job": "files",
    "container": "no",
    "ci": "none",
    "include_examples": "no",
    "license": "MIT",
    "__year": "2026",
    "_extensions": ["cookiecutter_multiprocessing_extensions.Answers"],
    "_new_lines": "\n",
}


@dataclass(frozen=True)
class Way:
    """One way for an answer to reach the template."""

    options: tuple[str, ...] = ("--no-input",)
    typed: str = ""
    config: dict[str, str] = field(default_factory=dict)
    replayed: Mapping[str, object] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    engine: tuple[str | Path, ...] = (TOOLS / "cookiecutter",)
    cwd: Path | None = None


def refuse(template: Path, folder: Path, way: Way) -> str:
    """Render in vain; return what is printed."""
    done = render(template, folder, way)
    assert done.returncode == 1, done.stdout
    assert list((folder / "output").iterdir()) == []
    return done.stdout


def render(template: Path, folder: Path, way: Way) -> subprocess.CompletedProcess[str]:
    """Render into `folder`/output, with nothing of this machine's user."""
    output = folder / "output"
    output.mkdir(exist_ok=True)
    home = {name: f"{folder}/{name}" for name in ("cookiecutters_dir", "replay_dir")}
    (folder / "config.yaml").write_text(json.dumps(home | {"default_context": way.config}))
    (folder / "answers.json").write_text(json.dumps({"cookiecutter": way.replayed}))
    replay = ("--replay-file", folder / "answers.json") if way.replayed else ()
    return subprocess.run(
        [
            *(*way.engine, *replay, template, *way.options),
            *("--output-dir", output, "--config-file", folder / "config.yaml"),
        ],
        cwd=way.cwd,
        env=clean_environ() | dict(way.environ),
        input=way.typed,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding=way.environ.get("PYTHONIOENCODING", "utf-8"),
        check=False,
    )
