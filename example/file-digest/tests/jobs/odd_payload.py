"""One payload that cannot be pickled between so many good ones."""

import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any


class Odd:
    def __reduce__(self) -> str:
        sys.exit("not this one")


def items(inputs: Sequence[str]) -> Iterator[tuple[str, Any]]:
    good, payload = range(int(inputs[0])), eval(inputs[1])
    yield from ((f"before-{number}", number) for number in good)
    yield "bad", payload
    yield from ((f"after-{number}", number) for number in good)


def work(payload: Any) -> Any:
    return payload
