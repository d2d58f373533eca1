"""Closes descriptors that it did not open, between the two that the inputs name, then logs."""

import logging
import os
import sys
from collections.abc import Sequence

assert sys.platform != "win32"

log = logging.getLogger(__name__)


def items(inputs: Sequence[str]) -> list[tuple[str, tuple[int, int]]]:
    return [("a", (int(inputs[0]), int(inputs[1])))]


def work(payload: tuple[int, int]) -> None:
    if not (child := os.fork()):  # or this worker could not answer
        os.closerange(*payload)
        with open("theirs", "w"):  # gets one of the lowest numbers
            log.info("short after closing")
            log.info("long after closing %s END", "x" * 20_000)
        os._exit(0)
    os.waitpid(child, 0)
