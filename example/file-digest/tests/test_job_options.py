"""The job's own options: where they come from, and who gets them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from file_digest.cli.options import JOB_VARIABLES, SLUG
from file_digest.items.job_options import call_of

from .support.service import PACKAGE, Service


def test_command_line_beats_environment_beats_table(service: Callable[..., Service]) -> None:
    """Key by key; what comes from the file keeps its type, all else is text."""
    one = service("options")
    table = "[job]\na = 1\nb = [2, 3]\nc = true\nd-e = 0.5\n"
    (one.folder / f"{SLUG}.toml").write_text(table)
    one.environment |= {f"{JOB_VARIABLES}B": "from, there", f"{JOB_VARIABLES}C": "no"}
    finished = one.run("--job-option", "c=x=y", "--job-option", "f-g=", "--job-option", "h=é ☕")
    assert finished.code == 0, finished.stderr
    assert {key: one.result(key) for key in one.outcomes()} == {
        "a": 1,
        "b": "from, there",
        "c": "x=y",
        "d_e": 0.5,
        "f_g": "",
        "h": "é ☕",
    }


def test_they_have_the_variable_of_every_option(service: Callable[..., Service]) -> None:
    """Several with blanks between, as click has it; the command line wins here, too."""
    one = service("options")
    one.environment[f"{PACKAGE.upper()}_RUN_JOB_OPTION"] = "a-b=1 c=2"
    assert one.run("--job-option", "c=3").code == 0
    assert {key: one.result(key) for key in one.outcomes()} == {"a_b": "1", "c": "3"}
    one.environment[f"{PACKAGE.upper()}_RUN_JOB_OPTION"] = "depth"
    finished = one.run()
    assert finished.code == 2
    assert finished.stderr.startswith("Error: --job-option")
    assert "'depth' (from the environment variable " in finished.stderr


def test_the_job_refuses_an_option(service: Callable[..., Service]) -> None:
    """A value that will not do is wrong usage, though items() is a generator; nothing is made."""
    one = service("options")
    finished = one.run("input", "--job-option", "inputs=2")
    assert (finished.code, finished.stderr) == (2, "Error: inputs: '2' is not how many there are\n")
    assert not one.results.exists()


@pytest.mark.parametrize("command", [("run", "--dry-run"), ("scale", "--seconds", "0.1")])
def test_all_that_call_items_have_them(
    service: Callable[..., Service], command: tuple[str, ...]
) -> None:
    """A dry run and scale read the same items as a run."""
    finished = service("options").command(*command, "--job-option", "only=1")
    assert finished.code == 0, finished.stderr
    assert "only" in finished.stdout or "a sample of 1 items" in finished.stdout


def _inputs_alone(inputs: Sequence[str]) -> Any:
    return [inputs]


def _both(inputs: Sequence[str], options: dict[str, Any]) -> Any:
    return [inputs, options.pop("a")]


def _with_keyword(inputs: Sequence[str], *, options: str = "own") -> Any:
    return [inputs, options]


class _Callable:
    def __call__(self, inputs: Sequence[str], options: dict[str, Any]) -> Any:
        return [inputs, options["a"]]


SIGNATURES: list[tuple[Callable[..., Any], list[Any]]] = [
    (_inputs_alone, [["in"]]),
    (_both, [["in"], 1]),
    (_with_keyword, [["in"], "own"]),
    (_Callable(), [["in"], 1]),
    (partial(_both), [["in"], 1]),
    (list, ["in"]),
]


@pytest.mark.parametrize(("function", "got"), SIGNATURES, ids=range(len(SIGNATURES)))
def test_a_second_argument_asks_for_options(function: Callable[..., Any], got: list[Any]) -> None:
    """It is found by signature; who changes the options changes nobody else's, nor the next's."""
    call = call_of(function, ["in"], {"a": 1})
    assert call() == call() == got
