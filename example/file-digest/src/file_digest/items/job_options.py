"""Pass the job's own options to those of its functions that take a second argument."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from ..system.text import text_of
from .messages import ContractError

LAZY = inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction
POSITIONAL = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD


def call_of(
    function: Callable[..., Any], inputs: Sequence[str], options: Mapping[str, Any]
) -> Callable[[], Any]:
    """Return a call of ``items`` or ``count``, with a copy of the options that it may change."""
    if not _takes_options(function):
        return partial(function, inputs)
    return lambda: function(inputs, dict(options))


def plain_function(name: str, function: object) -> Callable[..., Any]:
    """Return one of the job's functions.

    Raises:
        ContractError: It is none, or one whose call alone does nothing.
    """
    if callable(function) and not any(is_lazy(function) for is_lazy in LAZY):
        return function
    raise ContractError(f"{name} must be a plain function, but it is {text_of(function):.200}")


def check_options(job: ModuleType, options: Mapping[str, Any]) -> None:
    """Refuse options that the job does not read.

    Raises:
        ContractError: There are some, and ``items`` takes none; or that is no function.
    """
    if not callable(job.items):
        raise ContractError(f"items must be a function, but it is {text_of(job.items):.200}")
    if options and not _takes_options(job.items):
        names = ", ".join(options)
        what = f"job.py takes no options (given: {names}): its items() has no second argument"
        raise ContractError(f"--job-option: {what}")


def _takes_options(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of a callable written in C, for example
        return False
    return sum(each.kind in POSITIONAL for each in parameters) > 1
