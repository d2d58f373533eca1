"""How log records travel from the processes to the listener.

    PipeTransport    handler formats ── one atomic write ──▶ pipe ──▶ listener copies ──▶ file
    QueueTransport   handler pickles ──▶ multiprocessing.Queue ──▶ listener formats ──▶ file

The pipe needs no lock, thread or buffer in the worker: when a log call returns, its record is in
the kernel's hands, and a process that is killed then or later harms nobody else's log.

The queue is the classic design, for Windows, where a pipe's writes are not atomic, and for those
who want handlers of their own in the listener. What it cannot promise is said in ``queues``.
"""

import sys

from .pipe import PipeSender, PipeTransport
from .queues import QueueSender, QueueTransport

Sender = PipeSender | QueueSender
Transport = PipeTransport | QueueTransport


def has_atomic_pipes() -> bool:
    """Whether writes to a pipe are all or nothing, as POSIX has it."""
    return sys.platform != "win32"
