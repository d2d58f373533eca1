"""Returns what signals children of items() and work() begin with, and how SIGTERM ends them."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

assert sys.platform != "win32"


def state() -> list[Any]:
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    numbers += [signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR1]
    blocked = sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    handlers: list[Any] = [*map(signal.getsignal, numbers)]
    return [blocked, *(getattr(one, "__name__", None) or int(one) for one in handlers)]


def send_state(sending: Any) -> None:
    sending.send(state())


def ask(method: str) -> Any:
    context: Any = multiprocessing.get_context(method)
    receiving, sending = context.Pipe(duplex=False)
    context.Process(target=send_state, args=(sending,)).start()
    return receiving.recv()


def ask_fork() -> Any:
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        os.write(writing, repr(state()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return eval(os.read(reading, 1_000))


def sleeper(method: str) -> int:
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=time.sleep, args=(1_000,))
    process.start()
    time.sleep(0.05)
    process.terminate()
    process.join(20)
    return int(process.exitcode)


def ask_all() -> tuple[list[Any], list[int]]:
    methods = multiprocessing.get_all_start_methods()
    return [ask_fork(), *map(ask, methods)], [*map(sleeper, methods)]


def items(inputs: Sequence[str]) -> Iterator[tuple[str, Any]]:
    yield "items()", ask_all()
    yield "work()", None


def work(payload: Any) -> Any:
    return payload or ask_all()
