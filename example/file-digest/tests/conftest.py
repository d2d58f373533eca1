"""Fixtures of all tests."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module, util
from pathlib import Path
from typing import Any

import pytest

from file_digest.settings import start_methods
from file_digest.system import inheritance
from file_digest.system.oslimits import ensure_socket_paths

from .support.service import Service

DAILY = {"test_end_to_end", "test_job", "test_kills"}
"""Of the tests that run the service, those that a plain ``pytest`` runs, too."""
ROWS = os.environ.get("FAULT_ROWS", "all")
"""Of each fault test: ``all`` rows, at most so many, or ``each`` value of each parameter once."""


def pytest_configure() -> None:
    """Reset signals for all services: a shell's ``pytest &`` or nohup ignores some of them.

    Where TMPDIR is too long for a socket, the tests' own processes keep theirs elsewhere, as the
    service's do.
    """
    ensure_socket_paths()
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD", "SIGTTIN", "SIGTTOU", "SIGUSR1"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) == signal.SIG_IGN:
            default = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            signal.signal(number, default)
            inheritance.IGNORED.discard(number)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Spread ``-m faults`` over the cores, unless ``-n`` says otherwise."""
    if hasattr(config, "workerinput"):  # one of the processes that it is spread over
        return
    if config.option.markexpr == "faults" and getattr(config.option, "numprocesses", 0) is None:
        config.option.numprocesses, config.option.dist = "auto", "worksteal"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the fault tests, and those that the execution model cannot hold as expected to fail."""
    limits = f"{__package__}.support.limits"
    not_held = import_module(limits).NOT_HELD if util.find_spec(limits) else {}
    for item in items:
        if item.path.stem.endswith("_faults") or _runs_the_service(item):
            item.add_marker("faults")
        if reason := not_held.get(_name(item)):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    if ROWS != "all":
        config.hook.pytest_deselected(items=(left_out := _left_out(items)))
        items[:] = [item for item in items if item not in left_out]


def _runs_the_service(item: pytest.Item) -> bool:
    return "service" in getattr(item, "fixturenames", ()) and item.path.stem not in DAILY


def _left_out(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the rows of fault tests that ``FAULT_ROWS`` leaves out."""
    tables: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("faults"):
            tables.setdefault((item.path.stem, _name(item)), []).append(item)
    left_out = _not_each if ROWS == "each" else _too_many
    return [item for table in tables.values() for item in left_out(table)]


def _too_many(table: list[pytest.Item]) -> list[pytest.Item]:
    """Leave out what is more than so many rows; those kept are spread evenly."""
    return [row for at, row in enumerate(table) if at % -(-len(table) // int(ROWS))]


def _not_each(table: list[pytest.Item]) -> list[pytest.Item]:
    """Leave out combinations of parameters, so that each value of each parameter is kept.

    Of rows x start methods x transports there are then as many as rows; start methods and
    transports are dealt out to them evenly.
    """
    values = [_values(row) for row in table]
    counts = [len(set(column)) for column in zip(*values, strict=True)]
    longest = counts.index(max(counts)) if counts else 0
    groups: dict[tuple[str, ...], dict[tuple[str, ...], pytest.Item]] = {}
    for row, each in zip(table, values, strict=True):
        others = each[:longest] + each[longest + 1 :]
        groups.setdefault(each[longest : longest + 1], {})[others] = row
    used, kept = Counter[Any](), list[pytest.Item]()
    for rows in groups.values():
        rarest = min(rows, key=lambda each: (used[each], sum(used[at] for at in enumerate(each))))
        used.update([rarest, *enumerate(rarest)])
        kept.append(rows[rarest])
    return [row for row in table if row not in kept]


def _values(item: pytest.Item) -> tuple[str, ...]:
    """Return a row's values: a text for each parametrize(), and for each fixture's parameter."""
    callspec: Any = getattr(item, "callspec", None)
    params = dict(callspec.params) if callspec else {}
    marks = [mark.args[0] for mark in item.iter_markers("parametrize")]
    groups = [mark.split(",") if isinstance(mark, str) else mark for mark in marks]
    grouped = [repr([params.pop(name.strip()) for name in group]) for group in groups]
    return (*grouped, *map(repr, params.values()))


def _name(item: pytest.Item) -> str:
    return str(getattr(item, "originalname", item.name))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Make services; what they left running is killed afterwards."""
    made: list[Service] = []

    def make(job: str | None = "digesting") -> Service:
        made.append(Service(tmp_path / f"service-{len(made)}", job))
        return made[-1]

    yield make
    for one in made:
        one.close()


DEFAULT, *OTHERS = start_methods()


@pytest.fixture(params=[DEFAULT, *(pytest.param(one, marks=pytest.mark.faults) for one in OTHERS)])
def start_method(request: pytest.FixtureRequest) -> str:
    """Every start method that this platform has; on ordinary days the default one."""
    return str(request.param)
