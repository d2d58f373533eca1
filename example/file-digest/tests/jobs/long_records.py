"""Logs long records after what the input says was done to the process."""

import logging
import os
import resource
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from typing import Any

assert sys.platform != "win32"

log = logging.getLogger(__name__)


def use_up_descriptors() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
    try:
        while True:
            os.open(os.devnull, os.O_RDONLY)
    except OSError:
        pass


def become_nobody() -> None:
    if not os.getuid():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)


def beat_in_signals(n: int) -> Any:
    def beat(*_: object) -> None:
        log.info("signal of %d: %s END", n, "s" * 9_000)
        signal.setitimer(signal.ITIMER_REAL, 0.002)

    before = signal.signal(signal.SIGALRM, beat)
    signal.setitimer(signal.ITIMER_REAL, 0.002)
    return before


def log_from_everywhere(n: int) -> None:
    def run(name: str) -> None:
        for _ in range(20):
            log.info("%s of %d: %s END", name, n, name * 9_000)

    in_main_thread = threading.current_thread() is threading.main_thread()
    before = beat_in_signals(n) if in_main_thread else None
    threads = [threading.Thread(target=run, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    run("m")
    for thread in threads:
        thread.join()
    if in_main_thread:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def items(inputs: Sequence[str]) -> Iterator[tuple[str, tuple[int, str]]]:
    return ((f"item-{n}", (n, inputs[0])) for n in range(2))


def work(payload: tuple[int, str]) -> int:
    n, hindrance = payload
    exec(hindrance, globals(), {"n": n})
    log.info("long %d %s END", n, "x" * 20_000)
    return n
