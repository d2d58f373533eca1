"""The service under test: rendered from this template, its own modules imported from there."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

from .harness import ROOT

MODELS: list[str] = json.loads((ROOT / "cookiecutter.json").read_text("utf-8"))["execution_model"]
JOB = Path(__file__).with_name("job.py")
NOT_PART_OF_IT = (".git", ".venv", ".*cache", "__pycache__", ".hypothesis", "build", "example")


def copy_template(folder: Path) -> Path:
    """Copy the template without what tools leave in a checkout; return the copy."""
    return Path(shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_PART_OF_IT)))


def render(
    template: Path, model: str, name: str, folder: Path, *, hooks: bool = False, **more: str
) -> Path:
    """Render a project whose package is called ``name``; return its source folder."""
    answers = {"project_name": name, "package_name": name, "execution_model": model, **more}
    import_module("cookiecutter.main").cookiecutter(
        str(template), no_input=True, default_config=True, accept_hooks=hooks,
        output_dir=folder, extra_context=answers,
    )  # fmt: skip
    return folder / name.replace("_", "-") / "src"


def render_all(template: Path, folder: Path) -> list[Path]:
    """Render each model twice: ``digest_<model>`` as generated, ``bench_<model>`` with our job.

    Returns:
        Folders to import from.
    """
    paths = []
    for model in MODELS:
        paths.append(render(template, model, f"digest_{model}", folder))
        paths.append(render_bench(template, model, folder))
    return paths


def render_bench(template: Path, model: str, folder: Path, job: Path = JOB) -> Path:
    """Render ``bench_<model>`` with a job of ours; return its source folder."""
    source = render(template, model, f"bench_{model}", folder)
    shutil.copy(job, source / f"bench_{model}" / "job.py")
    return source


def module(model: str, name: str) -> Any:
    """Import a module of the rendered service."""
    return import_module(f"bench_{model}.{name}")


def settings(model: str, folder: Path, **values: Any) -> Any:
    """Return the service's settings: as generated, with a time limit."""
    options = module(model, "workers.options").OPTIONS
    engine: dict[str, Any] = dict.fromkeys(options)
    engine |= {"no_dashboard": True} if "no_dashboard" in engine else {}
    given: dict[str, Any] = {"results": folder / "results.db", "log_file": folder / "bench.log"}
    given |= {"start_method": "forkserver", "item_timeout": 60.0, "engine": engine}
    return module(model, "settings").Settings(**given | values)


@contextmanager
def running(model: str, given: Any, pairs: Iterator[Any]) -> Iterator[Iterator[Any]]:
    """Run the workers, their log and all, on some items; yield what yields the outcomes."""
    main = module(model, "main")
    module(model, "job").items = lambda _inputs: pairs
    with main.running(given, [], nullcontext) as (service, _):
        backlog = module(model, "items.backlog").Backlog(service.source, list, given.max_attempts)
        with closing(service.outcomes(backlog)) as outcomes:
            yield outcomes
