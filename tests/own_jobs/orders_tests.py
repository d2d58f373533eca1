"""The job: what orders cost."""

from collections.abc import Callable
from pathlib import Path

import pytest

from file_digest import job

from .support.service import Service


def test_files_are_needed() -> None:
    """Without any it is wrong usage."""
    with pytest.raises(ValueError, match="no CSV file"):
        next(job.items([], {}))


def test_orders_have_prices_and_unknown_fruit_fails(
    service: Callable[..., Service], tmp_path: Path
) -> None:
    """With the discount; what has no price fails, and no other order with it."""
    file = tmp_path / "orders.csv"
    file.write_text("id,fruit,pieces\na,apple,10\nb,pear,2\nc,stone,1\n", encoding="utf-8")
    one = service(None)
    assert one.run("--job-option", "discount=10", str(file)).code == 1
    outcomes = one.outcomes()
    assert outcomes["a"]["result"] == '"2.700"'
    assert outcomes["b"]["result"] == '"0.810"'
    assert "no price for stone" in outcomes["c"]["error"]
    assert "order a is done" in one.log_text()
