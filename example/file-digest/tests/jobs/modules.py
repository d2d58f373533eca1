"""One item that returns which of the command line's libraries its worker has imported."""

import sys
from collections.abc import Iterator, Sequence


def items(inputs: Sequence[str]) -> Iterator[tuple[str, None]]:
    yield "modules", None


def work(payload: None) -> list[str]:
    return sorted(name for name in sys.modules if name in {"click", "rich"})
