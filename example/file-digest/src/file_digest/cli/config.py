"""Where settings come from, and what is said when one of them will not do."""

import os
import tomllib
from collections.abc import Mapping
from importlib import metadata
from itertools import combinations
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from .. import PACKAGE
from ..system.files import shown
from ..system.text import visible


def slug_and_version() -> tuple[str, str]:
    """Return the command's name and the version, both as installed."""
    for entry in metadata.entry_points(group="console_scripts"):
        if entry.value == f"{PACKAGE}.__main__:main" and entry.dist:
            return entry.name, entry.dist.version
    return PACKAGE.replace("_", "-"), "0 (not installed)"


def load(context: click.Context, _param: click.Parameter, given: Path | None) -> None:
    """Make a TOML file's settings the defaults of all commands.

    Keys at the top hold for every command that has such an option; those in a table named like a
    command hold for that one.

    Raises:
        click.UsageError: The file is missing, is no TOML, has an unknown key or a wrong type.
    """
    path = given or Path(f"{context.info_name}.toml")
    if not (given or path.exists()):
        return
    name = shown(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"{name}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{name} is not valid TOML: {error}") from error
    context.meta["config"] = name
    context.default_map = _defaults(name, content, _commands(context))


def _commands(context: click.Context) -> dict[str, click.Command]:
    group = context.command
    return dict(group.commands) if isinstance(group, click.Group) else {}


def _defaults(
    file: str, content: dict[str, Any], commands: dict[str, click.Command]
) -> dict[str, dict[str, Any]]:
    defaults: dict[str, dict[str, Any]] = {name: {} for name in commands}
    known = {name: _parameters(command) for name, command in commands.items()}
    for key, value in content.items():
        if key in commands and isinstance(value, dict):
            for inner, setting in value.items():
                _set(file, defaults, {key: known[key]}, inner, setting)
        else:
            _set(file, defaults, known, key, value)
    return defaults


def _parameters(command: click.Command) -> dict[str, click.Parameter]:
    names = {param.name: param for param in command.params if param.name}
    options = {
        option.lstrip("-").replace("-", "_"): param
        for param in command.params
        if isinstance(param, click.Option)
        for option in param.opts
    }
    return names | options


def _set(
    file: str,
    defaults: dict[str, dict[str, Any]],
    known: dict[str, dict[str, click.Parameter]],
    key: str,
    value: Any,
) -> None:
    name = key.replace("-", "_")
    having = [command for command, parameters in known.items() if name in parameters]
    if not having:
        names = sorted({key for parameters in known.values() for key in parameters})
        raise click.UsageError(f"{file}: unknown key {key!r}; known are {', '.join(names)}")
    for command in having:
        param = known[command][name]
        if not _fits(param, value):
            raise click.UsageError(f"{file}: {key} = {value!r}: give {allowed(param)}")
        defaults[command][param.name or name] = value


def _fits(param: click.Parameter, value: Any) -> bool:
    if param.nargs == -1:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if isinstance(value, bool) or _is_flag(param):
        return isinstance(value, bool) and _is_flag(param)
    if isinstance(param.type, click.types.IntParamType):
        return isinstance(value, int)
    if isinstance(param.type, click.types.FloatParamType):
        return isinstance(value, int | float)
    return isinstance(value, str) and "\0" not in value  # which no file name can have


def _is_flag(param: click.Parameter) -> bool:
    return isinstance(param, click.Option) and param.is_flag


def allowed(param: click.Parameter) -> str:
    """Say what an option takes."""
    kind = param.type
    if param.nargs == -1:
        return "a list of texts"
    if _is_flag(param):
        return "true or false"
    if isinstance(kind, click.Choice):
        return "one of " + ", ".join(map(str, kind.choices))
    if isinstance(kind, click.IntRange):
        most = "" if kind.max is None else f" and at most {kind.max}"
        return f"a whole number, at least {kind.min}{most}"
    if isinstance(kind, click.FloatRange):
        return f"a number, {'above' if kind.min_open else 'at least'} {kind.min}"
    return "a file's path" if kind.name == "path" else "a text"


def keep_apart(context: click.Context, files: Mapping[str, Path | None]) -> None:
    """Make sure that no file is to be read and written, or written twice.

    Args:
        context: Of the command.
        files: Option to its value.

    Raises:
        click.UsageError: It is, and nothing was touched.
    """
    given = [(option, Path(os.path.realpath(path))) for option, path in files.items() if path]
    for (option, path), (other, same) in combinations(given, 2):
        if path == same and (path.is_file() or not path.exists()):
            raise click.UsageError(
                f"{other}: {shown(same)} is the file of {option} already", context
            )


def one_line(error: click.ClickException) -> str:
    """Say in one line which option is wrong, where it came from and what is allowed."""
    return visible(_one_line(error))


def _one_line(error: click.ClickException) -> str:
    if not (isinstance(error, click.BadParameter) and error.param and error.ctx):
        return " ".join(error.format_message().split())
    if isinstance(error, click.MissingParameter):
        return f"{_name(error.param)} is missing; give {allowed(error.param)}"
    where = _origin(error.ctx, error.param)
    problem = " ".join(error.message.split()).rstrip(".")
    return f"{_name(error.param)}{where}: {problem}; give {allowed(error.param)}"


def _name(param: click.Parameter) -> str:
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def _origin(context: click.Context, param: click.Parameter) -> str:
    source = context.get_parameter_source(param.name or "")
    if source is ParameterSource.ENVIRONMENT:
        variable = f"{context.auto_envvar_prefix}_{param.name}".upper()
        return f" (from the environment variable {variable})"
    if source is ParameterSource.DEFAULT_MAP:
        return f" (from {context.meta['config']})"
    return " (from the command line)" if source is ParameterSource.COMMANDLINE else ""
