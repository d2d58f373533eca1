"""One faulty item among thousands of good ones."""

from collections.abc import Callable
from typing import Any

from .service import Finished, Service

Services = Callable[..., Service]

GOOD = 2_000


def run_with_fault(
    service: Services, code: str, *options: str, stage: str = "work"
) -> tuple[Finished, dict[str, Any]]:
    """Run one faulty item among many good ones; return how it ended and the item's outcome."""
    one = service("faulty_item")
    finished = one.run(stage, code, "--workers", "2", *options)
    outcomes = one.outcomes()
    bad = dict(outcomes.pop("bad"))
    assert len(outcomes) == GOOD
    for key, row in outcomes.items():
        assert (row["status"], row["attempts"]) == ("done", 1), dict(row)
        assert row["result"] == key.removeprefix("good-")
    return finished, bad
