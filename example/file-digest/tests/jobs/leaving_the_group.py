"""One item that starts a program in a session of its own; then its worker leaves."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


def items(inputs: Sequence[str]) -> list[tuple[str, int]]:
    return [("item", 0)]


def work(payload: int) -> None:
    program = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    Path("pid").write_text(str(program.pid))
    os._exit(1)
