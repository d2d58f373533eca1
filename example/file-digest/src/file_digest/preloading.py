"""Imported by multiprocessing's forkserver, and by no other process, if ``--preload`` is given.

It imports the job as a worker would, for its children, the workers. If that fails, main gets the
reason, and each worker imports the job itself.
"""

import gc
import importlib
import logging
import os
import pickle
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import process
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from .configurer import keep_early_records
from .items.refusals import JOB
from .system import streams
from .system.errors import name_of
from .system.files import replace
from .system.inheritance import mark_as_forked
from .system.leaving import end_in_time
from .system.lifeline import empty_standard_input
from .system.preload import VARIABLE, Request, Result, result_file
from .system.processes import kill_group

LOOK_SECONDS = 0.2


def preload(file: str) -> None:
    """Import the job as the request in ``file`` says, and write main the result."""
    request: Request = pickle.loads(Path(file).read_bytes())
    sys.path[:], sys.argv[:] = request.path, request.arguments
    empty_standard_input()
    streams.protect(streams.HURRY_SECONDS)
    with _ending_with(request.main), _as_child_of(request.main), _saving_memory():
        result = _import_job(request)
    mark_as_forked()
    end_in_time()
    replace(result_file(file, os.getpid()), pickle.dumps(result))


def _import_job(request: Request) -> Result:
    """Import the job; collect its log records and output."""
    early = keep_early_records(request.log_level, request.log_levels)
    logging.captureWarnings(True)
    began, before, problem = time.monotonic(), threading.enumerate(), ""
    with TemporaryFile() as file:
        with streams.diverted(file.fileno() if request.capture_output else None):
            try:
                importlib.import_module(JOB)
            except BaseException as error:
                problem = name_of(error)
        file.seek(0)
        output = file.read()
    records = [early.records.popleft() for _ in range(len(early.records))]
    started = [thread.name for thread in threading.enumerate() if thread not in before]
    seconds = time.monotonic() - began
    return Result(os.getpid(), problem, seconds, records, output.splitlines(), started)


@contextmanager
def _ending_with(main: int) -> Iterator[None]:
    """End this process with main during the import; later the forkserver's own loop does that."""
    over = threading.Event()  # this process's own

    def watch() -> None:
        while not over.wait(LOOK_SECONDS):
            if os.getppid() != main:
                kill_group(os.getpid())  # with what the import has started

    watching = threading.Thread(target=watch, daemon=True)
    with suppress(RuntimeError):  # no more threads can be started
        watching.start()
    yield
    over.set()
    if watching.is_alive():
        watching.join()  # a process that forks should have one thread


@contextmanager
def _as_child_of(main: int) -> Iterator[None]:
    """Look like a child of main to multiprocessing meanwhile: a job may import more in workers."""
    reader, writer = os.pipe()
    this: Any = process
    this.current_process().name = "forkserver"
    this._parent_process = this._ParentProcess("MainProcess", main, reader)  # noqa: SLF001 - it can be set in no other way
    yield
    this._parent_process = None  # noqa: SLF001 - the same
    os.close(reader)
    os.close(writer)


@contextmanager
def _saving_memory() -> Iterator[None]:
    """Keep the garbage collector from pages that children are to share: see ``gc.freeze``."""
    threshold = gc.get_threshold()
    gc.set_threshold(0)
    yield
    gc.freeze()
    if not gc.get_threshold()[0]:  # else the job has set its own
        gc.set_threshold(*threshold)


if file := os.environ.pop(VARIABLE, ""):
    preload(file)
