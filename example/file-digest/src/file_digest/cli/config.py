"""The sources of settings, and the one-line error when one of them is wrong."""

import os
import re
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ..settings import TEXTS
from ..system.files import shown
from .options import JOB_VARIABLES, VARIABLES, kind_of, variable_of

Parameters = dict[str, click.Parameter]

OTHER_NAMES = {"job": "job_option"}
"""Keys of the file to the options that have other names."""
KUBERNETES = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)$")
"""Matches the variables that Kubernetes sets for a service, which may have this one's name:
https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
"""


def load(context: click.Context, _param: click.Parameter, given: Path | None) -> None:
    """Make a TOML file's settings the defaults of all commands.

    Keys at the top hold for every command that has such an option; those in a table named like a
    command hold for that one.

    Raises:
        click.UsageError: The file is missing, is no TOML, has an unknown key or a wrong type; or an
            environment variable has our prefix and is unknown.
    """
    import tomllib  # noqa: PLC0415 - only where there is a file

    commands = getattr(context.command, "commands", {})
    known = {name: {one.name: one for one in command.params} for name, command in commands.items()}
    _check_environment({"": {one.name or "": one for one in context.command.params}, **known})
    path = given or Path(f"{context.info_name}.toml")
    if not (given or path.exists()):
        return
    file = shown(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} is not valid TOML: {error}") from error
    context.meta["config"] = file
    try:
        context.default_map = _defaults(content, known)
    except ValueError as error:
        raise click.UsageError(f"{file}: {error}") from error


def _check_environment(known: dict[str, Parameters]) -> None:
    """Refuse an unknown environment variable with our prefix: it is likely a misspelt one.

    Raises:
        click.UsageError: There is one.
    """
    prefix = f"{VARIABLES}_"
    params = ((command, one) for command in known for one in known[command].values())
    names = {variable_of(*each) for each in params if isinstance(each[1], click.Option)}
    for name in os.environ:
        is_ours = name.startswith(prefix) and not name.startswith(JOB_VARIABLES)
        if is_ours and name not in names and not KUBERNETES.search(name):
            endings = {each.removeprefix(prefix) for each in names}
            meant = _meant(name.removeprefix(prefix), endings, prefix)
            what = meant or "; no option is called so"
            raise click.UsageError(f"unknown environment variable {name}{what}")


def _defaults(content: dict[str, Any], known: dict[str, Parameters]) -> dict[str, dict[str, Any]]:
    """Return values by command and name.

    Raises:
        ValueError: One has no such option, or is of another type.
    """
    defaults: dict[str, dict[str, Any]] = {command: {} for command in known}
    for key, value in content.items():
        is_table = key in known and isinstance(value, dict)
        commands = [key] if is_table else list(known)
        for inner, setting in value.items() if is_table else [(key, value)]:
            name = OTHER_NAMES.get(inner, inner.replace("-", "_"))
            having = [command for command in commands if name in known[command]]
            if not having:
                raise ValueError(_unknown(inner, {n for each in commands for n in known[each]}))
            for command in having:
                _check(inner, setting, known[command][name])
                defaults[command][name] = setting
    _share(defaults, known)
    return defaults


def _share(defaults: dict[str, dict[str, Any]], known: dict[str, Parameters]) -> None:
    """Pass ``run``'s shared settings on to other commands, unless their own tables set them."""
    for command, params in known.items():
        for name, value in defaults["run"].items():
            if name in params and params[name].envvar:
                defaults[command].setdefault(name, value)


def _unknown(key: str, names: set[str]) -> str:
    meant = _meant(key.replace("-", "_"), names) or f"; known are {', '.join(sorted(names))}"
    return f"unknown key {key!r}{meant}"


def _meant(name: str, names: set[str], before: str = "") -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for a slip

    close = get_close_matches(name, names, n=1)
    return f"; did you mean {before}{close[0]}?" if close else ""


def _check(key: str, value: Any, param: click.Parameter) -> None:
    """Refuse a value whose type is another; click would take true for 1, and 5 for a file."""
    kind = kind_of(param)
    values = value if kind is TEXTS and isinstance(value, list) else [value]
    fits = all(type(each) in kind.in_file and "\0" not in str(each) for each in values)
    if not fits or isinstance(value, list) != (kind is TEXTS):
        raise ValueError(f"{key} = {value!r}: give {kind.allowed}")


def keep_apart(files: Mapping[str, Path | None]) -> None:
    """Make sure that no file is given for two options of which one writes it.

    Args:
        files: Option to its value.

    Raises:
        click.UsageError: It is, and nothing was touched.
    """
    given = [(option, Path(os.path.realpath(path))) for option, path in files.items() if path]
    for (option, path), (other, same) in combinations(given, 2):
        if path == same and (path.is_file() or not path.exists()):
            raise click.UsageError(f"{other}: {shown(same)} is the file of {option} already")


def one_line(error: click.ClickException) -> str:
    """Return one line: the option that is wrong, where its value came from, what is allowed."""
    if not (isinstance(error, click.BadParameter) and error.param and error.ctx):
        return " ".join(error.format_message().split())
    param, allowed = error.param, kind_of(error.param).allowed
    name = param.opts[0] if isinstance(param, click.Option) else param.human_readable_name
    if isinstance(error, click.MissingParameter):
        return f"{name} is missing; give {allowed}"
    problem = " ".join(error.message.split()).rstrip(".")
    return f"{name}{_origin(error.ctx, param)}: {problem}; give {allowed}"


def _origin(context: click.Context, param: click.Parameter) -> str:
    source = context.get_parameter_source(param.name or "")
    if source is ParameterSource.ENVIRONMENT:
        command = context.info_name if context.parent else ""
        return f" (from the environment variable {variable_of(command or '', param)})"
    if source is ParameterSource.DEFAULT_MAP:
        return f" (from {context.meta['config']})"
    return " (from the command line)" if source is ParameterSource.COMMANDLINE else ""
