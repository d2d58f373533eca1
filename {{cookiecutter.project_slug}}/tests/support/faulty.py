"""One faulty item among thousands of good ones."""

from collections.abc import Callable
from typing import Any

from .service import Finished, Service

Services = Callable[..., Service]

GOOD = 2_000
JOB = """
    import ctypes, functools, json, logging, os, signal, subprocess, sys, threading, time

    class Unpacks:
        def __init__(self, code):
            self.code = code

        def __reduce__(self):
            return execute, (self.code,)

    class Written(dict):
        def __init__(self, code):
            super().__init__(code=code)

        def __reduce__(self):
            return Written, (self["code"],)

        def items(self):
            return execute(self["code"])

    def execute(code):
        scope = {}
        exec(code, globals(), scope)
        return scope.get("result")

    def items(inputs):
        stage, code = inputs
        good = [(f"good-{number}", f"result = {number}") for number in range(2_000)]
        yield from good[:1_000]
        yield "bad", {"unpack": Unpacks, "work": str, "write": Written}[stage](code)
        yield from good[1_000:]

    def work(payload):
        return payload if isinstance(payload, dict) else execute(payload)
"""


def run_with_fault(
    service: Services, code: str, *options: str, stage: str = "work"
) -> tuple[Finished, dict[str, Any]]:
    """Run one faulty item among many good ones; return how it ended and the item's outcome."""
    one = service(JOB)
    finished = one.run(stage, code, "--workers", "2", *options)
    outcomes = one.outcomes()
    bad = dict(outcomes.pop("bad"))
    assert len(outcomes) == GOOD
    for key, row in outcomes.items():
        assert (row["status"], row["attempts"]) == ("done", 1), dict(row)
        assert row["result"] == key.removeprefix("good-")
    return finished, bad
