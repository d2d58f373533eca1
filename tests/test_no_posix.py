"""A generated project can be imported without POSIX: under a stand-in for Windows."""

import re
from pathlib import Path

import pytest
from conftest import CHOICES, Bake

STAND_IN = Path(__file__).parent / "no_posix"


@pytest.mark.parametrize("execution_model", CHOICES["execution_model"])
def test_every_module_of_the_suite_can_be_imported(bake: Bake, execution_model: str) -> None:
    """None needs what Windows lacks; those that are of POSIX leave themselves out."""
    project = bake(execution_model=execution_model)
    options = ("-p", "without_posix", "-n0", "-q", "--collect-only", "-m", "faults or not faults")
    shown = project.run("pytest", *options, environ={"PYTHONPATH": str(STAND_IN)}).stdout
    collected = {*re.findall(r"^tests/(\w+)\.py::", shown, re.MULTILINE)}
    left_out = {*re.findall(r"^SKIPPED .* tests/(\w+)\.py:\d+:", shown, re.MULTILINE)}
    modules = {path.stem for path in (project.path / "tests").glob("test_*.py")}
    assert collected | left_out == modules
    assert {"test_end_to_end", "test_transport", "test_listener"} <= collected
