"""Fixtures of all tests."""

from collections.abc import Callable, Iterator
from importlib import import_module, util
from pathlib import Path

import pytest
from service import Service

from file_digest.settings import start_methods


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect to fail what the execution model cannot hold, if it has a list of such tests."""
    not_held = import_module("limits").NOT_HELD if util.find_spec("limits") else {}
    for item in items:
        if reason := not_held.get(getattr(item, "originalname", item.name)):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Make services; what they left running is killed afterwards."""
    made: list[Service] = []

    def make(job: str | None = None) -> Service:
        made.append(Service(tmp_path / f"service-{len(made)}", job))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=start_methods())
def start_method(request: pytest.FixtureRequest) -> str:
    """Every start method that this platform has."""
    return str(request.param)
