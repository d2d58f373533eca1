"""Logs a record for each line of the file that the input names: the arguments of the log call."""

import logging
import pathlib
from collections.abc import Sequence
from typing import Any

log, loop = logging.getLogger(__name__), list[Any]()
loop.append(loop)


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def items(inputs: Sequence[str]) -> list[tuple[str, str]]:
    return [("a", pathlib.Path(inputs[0]).read_text())]


def work(rows: str) -> None:
    for n, row in enumerate(rows.splitlines()):
        log.info("row %d", n, **eval(f"dict({row})"))
    log.info({"message": "a dict", "level": "fake", "time": 0, "process": "forged"})
    log.info("many %d", 10**5000)
