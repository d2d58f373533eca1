"""The log listener: the one process that writes the log, and how main keeps it alive."""

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from multiprocessing.connection import Connection
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any

from .configurer import LogFileHandler, LogSetup, configure_listener, deconfigure
from .log.fallback import Fallback
from .log.formats import SafeFormatter
from .log.logfile import LogFile
from .log.pipe import PipeTransport, has_atomic_pipes
from .log.queue import QueueTransport
from .log.recovery import RecoveryBuffer, Shared, copy_records, new_shared_bytes
from .log.state import LOST
from .log.stream import LogStream
from .log.wire import REOPEN, STOP, file_text
from .settings import Settings, default_log_file
from .system import stacks, streams
from .system.capacity import start_with_retries
from .system.errors import WorkersCannotStartError
from .system.files import STDOUT, high_duplicate
from .system.lifeline import Lifeline, outlive_main
from .system.processes import (
    UNKNOWN,
    await_helpers,
    can_start,
    context_for,
    exitcode_of,
    how_it_ended,
    join_all,
    kill,
    start_process,
)

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess
    from multiprocessing.queues import Queue

POLL_INTERVAL, IDLE_TIMEOUT = 0.002, 0.2
SMALL_READ = 1 << 15
DRAIN_SECONDS, FINISH_SECONDS = 1.4, 0.1
RESTART_SECONDS = 0.2
"""Least time between two starts: a listener that dies at once must not keep main busy."""
ROOM_SECONDS = 0.05
LOOK_INTERVAL = 0.1
"""Seconds between two looks of main at the listener, and for records that did not reach it."""

log = logging.getLogger(__name__)
OpenLog = Callable[[], LogFile | LogStream]


@dataclass(frozen=True, slots=True)
class PipeEnd:
    """Arguments of the pipe transport's listener."""

    reader: Connection
    shared: Shared
    fallback: Fallback
    formatter: SafeFormatter
    """For the records of the listener itself, when main is gone."""
    run: str


def listen_to_pipe(end: PipeEnd, lifeline: Connection, open_log: OpenLog) -> None:
    """Run the listener process of the pipe transport.

    It ends on the command ``STOP``, or once main is gone and the pipe is empty.
    """
    outlive_main(lifeline)
    with suppress(RuntimeError):  # no more threads: the loop below notices main's end
        _leave_soon_after_main(lifeline, lambda: None)
    file, reader = open_log(), end.reader
    buffer, orphaned = RecoveryBuffer(end.shared, file), False
    selector = DefaultSelector()
    selector.register(reader, EVENT_READ)
    selector.register(lifeline, EVENT_READ)
    stopped = _apply(copy_records(buffer, file), file)
    while not stopped:
        ready = {key.fd for key, _ in selector.select(IDLE_TIMEOUT)}
        if lifeline.fileno() in ready:
            selector.unregister(lifeline)
            orphaned = True
        if reader.fileno() in ready:
            count = buffer.read(reader.fileno())
            stopped = _apply(copy_records(buffer, file), file) or not count
            end.fallback.state.writes.value += 1
            if count < SMALL_READ:
                time.sleep(POLL_INTERVAL)  # for larger reads; the pipe keeps what comes meanwhile
        elif orphaned and not ready:
            stopped = True
    if orphaned:
        buffer.parts.remove_all(end.run)
        for record in summary_records(end.fallback):
            file.append(file_text(end.formatter.line(record)))


def summary_records(fallback: Fallback) -> list[logging.LogRecord]:
    """Return the reports of lost and diverted records that main can no longer log."""
    fallback.collect(for_good=True)
    fields = {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING"}
    return [logging.makeLogRecord({**fields, "msg": text}) for text in fallback.take_warnings()]


def _leave_soon_after_main(lifeline: Connection, finish: Callable[[], None]) -> None:
    """Bound the time to drain, even while a full disk or a torn message keeps this process."""

    def leave() -> None:
        connection.wait([lifeline])
        time.sleep(DRAIN_SECONDS)
        threading.Thread(target=finish, daemon=True).start()
        time.sleep(FINISH_SECONDS)
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()


def _apply(commands: list[bytes], file: LogFile | LogStream) -> bool:
    """Carry out main's commands; return whether to leave."""
    if REOPEN in commands:
        file.reopen()
    return STOP in commands


def listen_to_queue(
    queue: "Queue[logging.LogRecord | bytes]",
    setup: LogSetup,
    lifeline: Connection,
    open_log: OpenLog,
) -> None:
    """Run the listener process of the queue transport."""
    outlive_main(lifeline)
    handler, fallback = configure_listener(setup, open_log()), setup.sender.fallback
    _leave_soon_after_main(lifeline, partial(_write_summary, handler, fallback))
    while True:
        try:
            record = queue.get()  # a deadline costs as much as all the rest; the thread has one
        except Exception:  # a record that does not unpickle, or that a killed process left torn
            traceback.print_exc(file=sys.stderr)
            continue
        if record == STOP:
            return
        if record == REOPEN:
            _reopen_handlers()
        elif isinstance(record, logging.LogRecord):
            logging.getLogger(record.name).handle(record)
            fallback.state.writes.value += 1


def _write_summary(handler: LogFileHandler, fallback: Fallback) -> None:
    for record in summary_records(fallback):
        handler.handle(record)


def _reopen_handlers() -> None:
    for handler in logging.getLogger().handlers:
        handler.close()  # a file handler opens its file again for the next record


class Listener:
    """Main's side: starts the listener, replaces one that died, and ends it last."""

    def __init__(self, settings: Settings) -> None:
        """Open the transport that ``settings`` ask for; ``start`` starts the process."""
        self.start_method = settings.start_method
        self.context = context_for(self.start_method)
        self.lifeline = Lifeline()
        log_file = settings.log_file.absolute()
        self.stream = _stream_beside(settings.results) if settings.log_file == STDOUT else None
        limits = settings.log_max_bytes, settings.log_backups
        self.open_log: OpenLog = partial(LogFile, log_file, *limits)
        if self.stream:
            log_file, self.open_log = self.stream.path, self.stream.opened
        self.transport = _transport(settings, log_file, self.context)
        self.shared = new_shared_bytes()
        self.setup = LogSetup(
            settings.log_level,
            settings.log_format,
            settings.log_layout,
            self.transport.sender,
            settings.log_levels,
        )
        self.fallback = self.transport.fallback
        self.look_due, self.started, self.writes = 0.0, 0.0, 0
        self.process: BaseProcess | None = None
        self.reopen_due = False
        self.lost = 0
        """Number of records that were lost; known once it has stopped."""

    def start(self) -> None:
        """Start a listener process; it goes on where the last one stopped."""
        transport = self.transport
        if isinstance(transport, PipeTransport):
            formatter, run = self.setup.formatter(), transport.sender.run
            end = PipeEnd(transport.reader, self.shared, self.fallback, formatter, run)
            target: Any = listen_to_pipe
            source: tuple[Any, ...] = (end,)
        else:
            target, source = listen_to_queue, (transport.queue, self.setup)
        args = (stacks.new_file("listener"), target, *source, self.lifeline.end, self.open_log)
        self.started = time.monotonic()
        self.process = start_process(self.context, stacks.with_stack, args, "listener")

    def ensure_running(self, *, reopen: bool = False) -> None:
        """Replace the listener if it died, make it reopen its file if asked; call this often."""
        if (now := time.monotonic()) < self.look_due and not reopen:
            return
        self.look_due = now + LOOK_INTERVAL
        self._log_losses()
        due = self.reopen_due or reopen
        self.reopen_due = due and not self.transport.send_command(REOPEN)
        if self.process is None or exitcode_of(self.process) is None:
            return
        if now < self.started + RESTART_SECONDS or not can_start(self.start_method):
            return
        kill(self.process)
        ended = how_it_ended(self.process.exitcode)
        try:
            self.start()
        except OSError as error:  # no more processes can be started, now
            log.error("the log listener died (%s) and cannot be replaced: %s", ended, error)  # noqa: TRY400 - the message says it all
        else:
            log.warning("the log listener died (%s), pid %d replaces it", ended, self.process.pid)

    def losses(self) -> list[int]:
        """Return how many records did not get into the log so far, of each of ``state``'s kinds."""
        totals = self.fallback.state.totals()
        totals[LOST] += self.stream.lost if self.stream else 0
        return totals

    def stop(self, seconds: float) -> bool:
        """Let the listener write everything and leave, within about ``seconds``.

        One that does not, because it was stopped for example, is killed, and another finishes its
        work.

        Returns:
            Whether everything was written.
        """
        deadline = time.monotonic() + seconds
        clean = self._leave(seconds / 2) or self._leave(deadline - time.monotonic())
        deconfigure()
        self.fallback.collect(for_good=True)
        self.lost = self.losses()[LOST]
        self.transport.close()
        self.lifeline.close()
        return clean

    def _leave(self, seconds: float) -> bool:
        if self.process is None:
            return True
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if exitcode_of(self.process) is not None:
                kill(self.process)  # one whose forkserver died may live on
                try:
                    await_helpers(self.start_method, 0.0, lambda: True)
                    start_with_retries(self.start)
                except (OSError, WorkersCannotStartError):
                    return False
                continue
            if self.transport.has_room():
                self._log_losses()
                if self.transport.send_command(STOP):
                    break
            connection.wait([self.process.sentinel], ROOM_SECONDS)
        join_all([self.process], max(0.0, deadline - time.monotonic()))
        return self.process.exitcode in (0, UNKNOWN)

    def _log_losses(self) -> None:
        """Log how many records could not reach the listener, once this one can."""
        self.fallback.collect()
        before, self.writes = self.writes, self.fallback.state.writes.value
        if self.writes != before or self.transport.has_room():
            for text in self.fallback.take_warnings():
                log.warning("%s", text)


def _stream_beside(results: Path) -> LogStream:
    """Return standard output as a log; files that belong beside a log lie beside the results."""
    beside = results.absolute().with_name(default_log_file().name)
    return LogStream(high_duplicate(streams.lend_stdout()), beside)


def _transport(settings: Settings, log_file: Path, context: Any) -> PipeTransport | QueueTransport:
    if settings.log_transport == "queue" or not has_atomic_pipes():
        return QueueTransport(log_file, context)
    return PipeTransport(log_file)
