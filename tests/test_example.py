"""The example that people read is what the template renders today."""

import re
from pathlib import Path

from baked import TEMPLATE, BakedProject
from conftest import Bake

EXAMPLE = TEMPLATE / "example" / "file-digest"
LEFT_BY_TOOLS = re.compile(
    r"(^|/)(\.venv|\.\w+_cache|__pycache__|\.hypothesis|logs)/|^(results|uv)\."
)


def test_example_is_not_stale(bake: Bake) -> None:
    """`make example` renders it again; the year of its licence stays."""
    project = BakedProject.at(EXAMPLE)
    year = re.findall(rb"Copyright \(c\) (\d{4})", project.files["LICENSE"])[0].decode()
    kept = {name: text for name, text in project.files.items() if not LEFT_BY_TOOLS.search(name)}
    fresh = bake(__year=year).files
    assert kept.keys() == fresh.keys(), "run: make example"
    assert [name for name in fresh if fresh[name] != kept[name]] == [], "run: make example"


def test_example_is_marked_as_generated() -> None:
    """GitHub folds it in changes, and ruff leaves it to its own rules."""
    assert "example/** linguist-generated" in read(".gitattributes").splitlines()
    assert '"example"' in read("pyproject.toml").partition("extend-exclude")[2].partition("]")[0]


def read(name: str) -> str:
    return Path(TEMPLATE, name).read_text("utf-8")
