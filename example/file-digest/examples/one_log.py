"""Shared by all examples: their options, and the service's one log around them."""

import logging
import multiprocessing
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path

from file_digest.configurer import LogSetup, configure_worker
from file_digest.listener import Listener
from file_digest.settings import (
    Settings,
    slug_and_version,
    start_methods,
)

__all__ = ["LogSetup", "configure_worker", "one_log"]


@contextmanager
def one_log(about: str | None) -> Iterator[LogSetup]:
    """Name the start method, start the log listener, and have it leave last.

    Args:
        about: The example's docstring.

    Yields:
        What a process needs in order to log: hand it over, and call ``configure_worker`` there.
    """
    slug, _ = slug_and_version()
    parser = ArgumentParser(description=about)
    parser.add_argument("--start-method", choices=start_methods(), default=start_methods()[0])
    parser.add_argument("--log-file", type=Path, default=Path("logs", f"{slug}.log"))
    options = parser.parse_args()
    multiprocessing.set_start_method(options.start_method)
    if options.start_method == "forkserver":
        # Here, because the service starts it with stop signals blocked, which the processes that
        # it forks inherit; and SIGTERM is how a Pool ends its workers.
        forkserver.ensure_running()
    options.log_file.parent.mkdir(parents=True, exist_ok=True)
    listener = Listener(Settings(workers=0, results=Path(), **vars(options)))
    listener.start()
    configure_worker(listener.setup)
    logging.getLogger(__name__).info("example begins, by %s", options.start_method)
    try:
        yield listener.setup
    finally:
        listener.stop(5.0)
