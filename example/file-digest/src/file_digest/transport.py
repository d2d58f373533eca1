"""How log records travel from the processes to the listener.

    PipeTransport    handler formats ── one atomic write ──▶ pipe ──▶ listener copies ──▶ file
    QueueTransport   handler pickles ──▶ multiprocessing.Queue ──▶ listener formats ──▶ file

The pipe needs no lock, thread or buffer in the worker: when a log call returns, its record is in
the kernel's hands, and a process that is killed then or later harms nobody else's log.

The queue is the classic design, for Windows, where a pipe's writes are not atomic, and for those
who want handlers of their own in the listener. It cannot promise three things, and the tests named
``test_the_queue_cannot_promise_...`` show it. A record whose call has returned may be lost with its
process, because a thread of that process sends it later; so are most of a forked child's. A process
that is killed while it holds the queue's lock keeps all others from logging for good: their records
go to the rescue file. And a listener that is killed may take the log with it in the same way.
"""

import glob
import logging
import logging.handlers
import multiprocessing
import os
import select
import sys
import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from queue import Full
from typing import TYPE_CHECKING, Any, ClassVar

from .formats import MESSAGE, shown_safely
from .ledger import COMMAND, INCLUDE, NEWLINE, part_named
from .rescue import Patience, Rescue, append

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

ATOMIC = getattr(select, "PIPE_BUF", 512)
PIPE_BYTES = 1 << 18
"""How much the pipe holds where that can be set: more than comes while the listener naps."""
PATIENCE_SECONDS = 5.0
QUEUE_RECORDS = 1_000
"""How many may wait in all processes; few, because those of a killed process are lost, and because
a process sends the rest of its own before it ends."""
PLAIN = {str, int, float, bool, type(None)}
"""What a record may hold on its way through the queue; of these, no subclass is sure to pickle."""
MADE_INTO_TEXT = dict.fromkeys(("args", "exc_info", "exc_text", "stack_info"))
NAP_SECONDS = 0.002
TELL_SECONDS = 0.1
STOP = b"stop"
REOPEN = b"reopen"


@dataclass(frozen=True, slots=True)
class PipeSender:
    """What a process needs in order to log through the pipe."""

    flush_seconds: ClassVar[float] = 0.0
    """How long a process may need at its end to send what it holds back: nothing."""
    writer: Connection
    log_file: Path
    run: int
    """Process id of main, part of the names of files that are this run's own."""

    def handler(self, patience: float) -> logging.Handler:
        """Return the handler that sends this process's records."""
        return PipeHandler(self, patience)


@dataclass(frozen=True, slots=True)
class QueueSender:
    """What a process needs in order to log through the queue."""

    flush_seconds: ClassVar[float] = 10.0
    """How long a process may need at its end to send what it holds back."""
    queue: "Queue[logging.LogRecord | bytes]"
    log_file: Path

    def handler(self, patience: float) -> logging.Handler:
        """Return the handler that sends this process's records."""
        return PatientQueueHandler(self, patience)


Sender = PipeSender | QueueSender


class PipeTransport:
    """The pipe. Main keeps both ends open, so a new listener goes on where a killed one stopped."""

    def __init__(self, log_file: Path) -> None:
        """Open the pipe."""
        self.reader, self.writer = multiprocessing.Pipe(duplex=False)
        os.set_blocking(self.writer.fileno(), False)
        if sys.platform == "linux":
            with suppress(OSError):  # this user's pipes take too much memory already
                fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self.sender = PipeSender(self.writer, log_file, os.getpid())

    def has_room(self) -> bool:
        """Whether a record could be sent without waiting."""
        return has_room(self.writer.fileno(), 0)

    def tell(self, command: bytes) -> bool:
        """Send the listener a command, behind all records so far; False if the pipe is full."""
        deadline = time.monotonic() + TELL_SECONDS
        while has_room(self.writer.fileno(), max(0.0, deadline - time.monotonic())):
            with suppress(BlockingIOError):  # somebody else was faster
                os.write(self.writer.fileno(), COMMAND + command + b"\n")
                return True
        return False

    def close(self) -> None:
        """Close both ends, and remove long records that a killed worker had begun to send."""
        self.writer.close()
        self.reader.close()
        remove_parts(self.sender.log_file, self.sender.run)


class QueueTransport:
    """The classic queue."""

    def __init__(self, log_file: Path, context: BaseContext) -> None:
        """Create the queue; bounded, so that a slow disk slows the workers down."""
        self.queue: Queue[logging.LogRecord | bytes] = context.Queue(QUEUE_RECORDS)
        self.sender = QueueSender(self.queue, log_file)

    def has_room(self) -> bool:
        """Whether a record could be sent without waiting."""
        return not self.queue.full()

    def tell(self, command: bytes) -> bool:
        """Send the listener a command, behind the records so far; False if the queue is full."""
        try:
            self.queue.put(command, timeout=TELL_SECONDS)
        except Full:
            return False
        return True

    def close(self) -> None:
        """Close the queue without waiting for a listener that may be gone."""
        self.queue.close()
        self.queue.cancel_join_thread()


Transport = PipeTransport | QueueTransport


def remove_parts(log_file: Path, run: int) -> None:
    """Remove what processes killed while they logged a long record have left of it."""
    for part in log_file.parent.glob(f"{glob.escape(log_file.name)}.{run}-*.part"):
        part.unlink(missing_ok=True)


class PipeHandler(logging.Handler):
    """Formats a record and hands it to the kernel in one write, or waits until it can.

    When the listener stands still for some seconds, records go to the rescue file, without further
    waiting, until it moves again.
    """

    def __init__(self, sender: PipeSender, patience: float = PATIENCE_SECONDS) -> None:
        """Send through ``sender``'s pipe; wait up to ``patience`` seconds for room in it."""
        super().__init__()
        self.patience = Patience(sender.log_file, patience)
        self.sender, self.descriptor = sender, sender.writer.fileno()
        self.rescue = Rescue(sender.log_file)
        self.parts = 0

    def handle(self, record: logging.LogRecord) -> bool:
        """Send one record; what threads send needs no lock unless it has to go another way."""
        if self.filters:
            return bool(super().handle(record))
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        try:
            text = self.format(record).encode("utf-8", "backslashreplace")
            wire = (text.replace(b"\n", NEWLINE) if b"\n" in text else text) + b"\n"
            if len(wire) > ATOMIC or self.patience.ended:
                self._send(wire)
            else:
                self._send_now(wire)
        except Exception:
            self.handleError(record)

    def _send_now(self, wire: bytes) -> None:
        try:
            os.write(self.descriptor, wire)
        except OSError:
            self._send(wire)

    def _send(self, wire: bytes) -> None:
        """Send what needs more than one write, or has to wait."""
        with self.lock or nullcontext():
            if not (self._write(wire) if len(wire) <= ATOMIC else self._write_long(wire)):
                self.patience.ended = True
                self.rescue.keep(wire.replace(NEWLINE, b"\n"))
            elif self.patience.ended:
                self.patience.ended = False
                if account := self.rescue.account():
                    self.emit(account)

    def _write(self, wire: bytes) -> bool:
        """Write all of it or nothing: pipe(7) on writes of at most PIPE_BUF bytes."""
        while True:
            try:
                os.write(self.descriptor, wire)
            except BlockingIOError:
                if not self.patience.lasts(self._has_room):
                    return False
            except OSError:  # main and listener are gone, or the job closed our descriptor
                return False
            else:
                return True

    def _has_room(self, seconds: float) -> bool:
        return has_room(self.descriptor, seconds)

    def _write_long(self, wire: bytes) -> bool:
        """Put a record that no single write can carry into a file, and send that file's name."""
        self.parts += 1
        name = b"%s%d-%d-%d\n" % (INCLUDE, self.sender.run, os.getpid(), self.parts)
        part = part_named(name, self.sender.log_file)
        try:
            append(part, wire)
        except OSError:
            sent = False
        else:
            sent = self._write(name)
        if not sent:
            part.unlink(missing_ok=True)
        return sent


class PatientQueueHandler(logging.handlers.QueueHandler):
    """A QueueHandler that waits for a full queue, a bounded time, instead of losing the record."""

    def __init__(self, sender: QueueSender, patience: float = PATIENCE_SECONDS) -> None:
        """Send through ``sender``'s queue; wait up to ``patience`` seconds for room in it."""
        super().__init__(sender.queue)
        self.records, self.patience = sender.queue, Patience(sender.log_file, patience)
        self.rescue = Rescue(sender.log_file)

    def prepare(self, record: logging.LogRecord) -> Any:
        """Return the record with its text made, and with nothing in it that might not pickle."""
        text = MESSAGE.format(record)
        fields = {**record.__dict__, **MADE_INTO_TEXT, "msg": text, "message": text}
        for name, value in fields.items():
            if type(value) not in PLAIN:
                fields[name] = shown_safely(value)
        plain = object.__new__(logging.LogRecord)  # without finding out again where it was made
        plain.__dict__ = fields
        return plain

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put it into the queue, or into the rescue file when the listener stands still."""
        if not (self._put(record) or self.patience.lasts(partial(self._put_within, record))):
            self.patience.ended = True
            self.rescue.keep(self.format(record).encode("utf-8", "backslashreplace") + b"\n")
        elif self.patience.ended:
            self.patience.ended = False
            if account := self.rescue.account():
                self.enqueue(account)

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
            time.sleep(NAP_SECONDS)
        return True


def has_room(pipe: int, seconds: float) -> bool:
    """Whether a write to a pipe is possible now or within some seconds."""
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))


def has_atomic_pipes() -> bool:
    """Whether writes to a pipe are all or nothing, as POSIX has it."""
    return sys.platform != "win32"
