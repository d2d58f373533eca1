"""The queue: ``QueueHandler``, one ``multiprocessing.Queue``, and a listener that formats.

It cannot promise three things, and the tests named ``test_the_queue_cannot_promise_...`` show it.
A record whose call has returned may be lost with its process, because a thread of that process
sends it later; so are most of a forked child's. A process that is killed while it holds the queue's
lock keeps all others from logging for good: their records go to the rescue file. And a listener
that is killed may take the log with it in the same way.
"""

import logging
import logging.handlers
import pickle
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import BaseContext
from pathlib import Path
from queue import Full
from typing import TYPE_CHECKING, Any, ClassVar

from ..system.files import moved_up
from .fallback import Fallback, FallbackFile, StallTimeout, identity_of
from .formats import SafeFormatter, snapshot
from .state import CUT_OFF, STALLED

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

QUEUE_RECORDS = 1_000
"""Records that may wait in all processes; few, because those of a killed process are lost, and
because a process sends the rest of its own before it ends."""
POLL_INTERVAL = 0.002
COMMAND_TIMEOUT = 0.1


@dataclass(frozen=True, slots=True)
class QueueSender:
    """Everything a process needs in order to log through the queue."""

    flush_seconds: ClassVar[float] = 10.0
    """Seconds that a process may need at its end to send buffered records."""
    queue: "Queue[logging.LogRecord | bytes]"
    log_file: Path
    fallback: Fallback

    def handler(self, formatter: SafeFormatter, stall_seconds: float) -> logging.Handler:
        """Return the handler that sends this process's records."""
        return WaitingQueueHandler(self, formatter, stall_seconds)


class QueueTransport:
    """The classic queue."""

    def __init__(self, log_file: Path, context: BaseContext) -> None:
        """Create the queue; bounded, so that a slow disk slows the workers down."""
        self.queue: Queue[logging.LogRecord | bytes] = context.Queue(QUEUE_RECORDS)
        self.fallback = Fallback.beside(log_file)
        self.sender = QueueSender(self.queue, log_file, self.fallback)

    def has_room(self) -> bool:
        """Whether a record could be sent without waiting."""
        return not self.queue.full()

    def send_command(self, command: bytes) -> bool:
        """Send the listener a command, behind the records so far; False if the queue is full."""
        try:
            self.queue.put(command, timeout=COMMAND_TIMEOUT)
        except Full:
            return False
        return True

    def close(self) -> None:
        """Close the queue without waiting for a listener that may be gone."""
        self.queue.close()
        self.queue.cancel_join_thread()
        self.fallback.close()


class WaitingQueueHandler(logging.handlers.QueueHandler):
    """A QueueHandler that waits for a full queue, a bounded time, instead of losing the record."""

    def __init__(self, sender: QueueSender, formatter: SafeFormatter, stall_seconds: float) -> None:
        """Send through ``sender``'s queue; wait up to ``stall_seconds`` for room in it."""
        super().__init__(sender.queue)
        self.formatter, self.line = formatter, formatter.line
        self.records, self.stall = sender.queue, StallTimeout(sender.fallback.state, stall_seconds)
        self.fallback_file = FallbackFile(sender.fallback)
        self.waiting: deque[logging.LogRecord] = deque()
        self.busy = False
        writer: Any = sender.queue._writer  # type: ignore[attr-defined] # noqa: SLF001 - no other way
        writer._handle = self.descriptor = moved_up(writer.fileno())  # noqa: SLF001 - the same
        self.identity = identity_of(self.descriptor)
        # Told by the thread that sends; concurrent.futures listens to it in the same way.
        self.records._on_queue_feeder_error = self._undelivered  # type: ignore[attr-defined] # noqa: SLF001

    def prepare(self, record: logging.LogRecord) -> Any:
        """Return the record with formatted text, and without values that may fail to pickle."""
        return snapshot(record)

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send a record; one of a signal handler that interrupts this comes after it.

        The queue's own lock is held meanwhile, and no thread can take that twice.
        """
        self.waiting.append(record)
        while self.waiting and not self.busy:
            self.busy = True
            try:
                self._send(self.waiting.popleft())
            finally:
                self.busy = False

    def _send(self, record: logging.LogRecord) -> None:
        """Put it into the queue, or into the rescue file when the listener stands still.

        A process that ends drops what its thread cannot send, so the job's closing is seen here.
        """
        if identity_of(self.descriptor) != self.identity:
            self._keep(record, CUT_OFF)
            return
        sent = self._put(record) or self.stall.wait_for(partial(self._put_within, record))
        self.stall.expired = not sent
        if not sent:
            self._keep(record, STALLED)

    def _keep(self, record: logging.LogRecord, reason: int) -> None:
        self.fallback_file.append(self.line(record), reason)

    def _undelivered(self, _error: Exception, pickled: bytes) -> None:
        """Save a record that could not be sent, because the job closed the descriptor."""
        self._keep(pickle.loads(pickled), CUT_OFF)

    def _put(self, record: logging.LogRecord) -> bool:
        with suppress(Full):
            self.records.put_nowait(record)
            return True
        return False

    def _put_within(self, record: logging.LogRecord, seconds: float) -> bool:
        """Look now and then: to be woken for every free place costs more than the record."""
        deadline = time.monotonic() + seconds
        while not self._put(record):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_INTERVAL)
        return True
