"""A call of items() that does not come back."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def items(inputs: Sequence[str]) -> list[Any]:
    Path("called").touch()
    time.sleep(1_000)
    return []


def work(payload: Any) -> Any:
    return payload
