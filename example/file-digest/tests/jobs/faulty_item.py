"""One faulty item among thousands of good ones: its code runs where the first input says."""

import ctypes
import functools
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any


class Unpacks:
    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return execute, (self.code,)


class Written(dict[str, str]):
    def __init__(self, code: str) -> None:
        super().__init__(code=code)

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return Written, (self["code"],)

    def items(self) -> Any:
        return execute(self["code"])


def execute(code: str) -> Any:
    scope: dict[str, Any] = {}
    exec(code, globals(), scope)
    return scope.get("result")


def items(inputs: Sequence[str]) -> Iterator[tuple[str, Any]]:
    stage, code = inputs
    good = [(f"good-{number}", f"result = {number}") for number in range(2_000)]
    yield from good[:1_000]
    yield "bad", {"unpack": Unpacks, "work": str, "write": Written}[stage](code)
    yield from good[1_000:]


def work(payload: Any) -> Any:
    return payload if isinstance(payload, dict) else execute(payload)
