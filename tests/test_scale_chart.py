"""The picture of `scale`, drawn with the dependency group that is there for it."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from baked import BakedProject, run
from conftest import Bake

SVG = "{http://www.w3.org/2000/svg}"
SCALE = ("scale", "--workers", "2", "--seconds", "0.1")


@pytest.fixture(scope="module")
def charting(bake_again: Bake) -> BakedProject:
    """Return a project installed with its extra `chart`."""
    project = bake_again()
    project.install("--editable", ".[chart]")
    return project


def test_svg_shows_both_kinds_and_the_counts(charting: BakedProject) -> None:
    """The vector picture is XML whose texts name what was measured."""
    shown = charting.run(charting.slug, *SCALE, "--chart", "c.svg", "src").stdout
    assert shown.endswith("chart: c.svg\n")
    picture = ET.parse(charting.path / "c.svg").getroot()  # noqa: S314 - our own file
    assert picture.tag == f"{SVG}svg"
    comments = (charting.path / "c.svg").read_text("utf-8")
    for text in ("threads", "processes", "ideal", "workers", "items per second", "file-digest, "):
        assert f"<!-- {text}" in comments


def test_png_is_a_picture(charting: BakedProject) -> None:
    """The other format is written by the end of the name alone."""
    charting.run(charting.slug, *SCALE, "--chart", "c.png", "src")
    assert (charting.path / "c.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_types_hold_with_the_library(charting: BakedProject) -> None:
    """Mypy sees the library's own types once it is installed, and agrees."""
    charting.run("mypy", "src")


def test_without_the_group_nothing_is_measured(bake: Bake, tmp_path: Path) -> None:
    """One line says what to install; exit code 2."""
    project = bake()
    done = run(project.bin / project.slug, *SCALE, "--chart", "c.svg", cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "install this project with its extra 'chart'" in done.stdout
    assert not (tmp_path / "logs").exists()
