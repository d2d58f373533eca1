"""Fixtures of all tests."""

import os
import signal
from collections.abc import Callable, Iterator
from importlib import import_module, util
from pathlib import Path

import pytest

from {{ cookiecutter.package_name }}.settings import start_methods

from .support.service import Service

ROWS = int(os.environ.get("FAULT_ROWS", "0"))
"""Of each fault test, how many rows of its table to run at most; 0 for all."""


def pytest_configure() -> None:
    """Have services heed all signals: a shell's ``pytest &`` or nohup would have some ignored."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) == signal.SIG_IGN:
            default = signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL
            signal.signal(number, default)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Expect to fail what the execution model cannot hold, if it has a list of such tests."""
    limits = f"{__package__}.support.limits"
    not_held = import_module(limits).NOT_HELD if util.find_spec(limits) else {}
    for item in items:
        if reason := not_held.get(_name(item)):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))
    if ROWS:
        config.hook.pytest_deselected(items=(left_out := _left_out(items)))
        items[:] = [item for item in items if item not in left_out]


def _left_out(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return what is more than ``ROWS`` rows of a fault test; those kept are spread evenly."""
    tables: dict[tuple[str, str], list[pytest.Item]] = {}
    for item in items:
        if item.path.stem.endswith("_faults"):
            tables.setdefault((item.path.stem, _name(item)), []).append(item)
    return [
        row
        for table in tables.values()
        for at, row in enumerate(table)
        if at % -(-len(table) // ROWS)
    ]


def _name(item: pytest.Item) -> str:
    return str(getattr(item, "originalname", item.name))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Make services; what they left running is killed afterwards."""
    made: list[Service] = []

    def make(job: str = "") -> Service:
        made.append(Service(tmp_path / f"service-{len(made)}", job))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=start_methods())
def start_method(request: pytest.FixtureRequest) -> str:
    """Every start method that this platform has."""
    return str(request.param)
