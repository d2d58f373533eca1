"""Gives every record a field of the job's own."""

import logging
from collections.abc import Sequence
from typing import Any

old, log = logging.getLogRecordFactory(), logging.getLogger(__name__)


def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
    record = old(*args, **kwargs)
    record.trace_id = "trace-42"
    return record


logging.setLogRecordFactory(factory)


def items(inputs: Sequence[str]) -> list[tuple[str, int]]:
    log.info("in items")
    return [("a", 1)]


def work(n: int) -> None:
    log.info("in work")
