"""Closes descriptors that it did not open, between the two that the inputs name, then logs."""

import logging
import multiprocessing
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack

assert sys.platform != "win32"

log = logging.getLogger(__name__)


def items(inputs: Sequence[str]) -> list[tuple[str, tuple[int, int]]]:
    return [("a", (int(inputs[0]), int(inputs[1])))]


def close_and_log(below: int, above: int) -> None:
    os.closerange(below, above)
    with ExitStack() as files:
        for number in range(60):  # they get the lowest numbers
            files.enter_context(open(f"theirs-{number}", "w"))
        log.info("short after closing")
        log.info("long after closing %s END", "x" * 20_000)


def work(payload: tuple[int, int]) -> None:
    # In a child, or this worker could not answer.
    child = multiprocessing.get_context("fork").Process(target=close_and_log, args=payload)
    child.start()
    child.join()
