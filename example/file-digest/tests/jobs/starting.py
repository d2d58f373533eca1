"""One item that starts processes in every way there is, and then executes the input."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

assert sys.platform != "win32"


def by_fork(then: Callable[[], object] = lambda: None) -> int:
    pid = os.fork()
    if not pid:
        then()
        time.sleep(1_000)
    return pid


def by_thread() -> int:
    pids: list[int] = []
    thread = threading.Thread(target=lambda: pids.append(by_fork()))
    thread.start()
    thread.join()
    return pids[0]


def by_multiprocessing(method: str) -> int | None:
    context = multiprocessing.get_context(method)
    process = context.Process(target=time.sleep, args=(1_000,), daemon=True)  # type: ignore[attr-defined]
    process.start()
    return process.pid  # type: ignore[no-any-return]


def start_all() -> list[int | None]:
    program = ["sleep", "1000"]
    return [
        subprocess.Popen(program).pid,
        subprocess.Popen("sleep 1000 & sleep 1000", shell=True).pid,
        os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 1000; true"], os.environ),
        by_fork(),
        by_fork(then=lambda: by_fork() and os._exit(0)),
        by_thread(),
        *map(by_multiprocessing, multiprocessing.get_all_start_methods()),
    ]


def items(inputs: Sequence[str]) -> list[tuple[str, str]]:
    return [("item", inputs[0])]


def work(end: str) -> None:
    pids = start_all()
    Path("part").write_text(" ".join(map(str, [os.getpid(), *pids])))
    Path("part").rename("pids")
    exec(end)
