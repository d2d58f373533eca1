"""How log records get from a pipe into a file without loss, even if the listener is killed.

    pipe ── readv ──▶ Ledger (memory that main shares with each listener in turn) ── write ──▶ file

The kernel puts what it takes from the pipe straight into the ledger. Whatever the moment at which
a listener is killed, the next one finds there what was read and not yet written, and where in the
file it belongs. One aligned store of eight bytes moves the ledger from one state to the next.
"""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from ctypes import Array, c_ubyte
from multiprocessing.sharedctypes import RawArray
from pathlib import Path

# Bytes that UTF-8 never contains.
NEWLINE = b"\xfd"
"""On the wire: a line break inside a record, so that every newline there ends a record."""
FILLER = b"\xfe"
"""In the ledger: nothing was read to here."""
COMMAND = b"\xff"
"""On the wire: begins a line that is no record."""
INCLUDE = COMMAND + b"include "
"""Followed by the name of a file beside the log: one record too long for an atomic write."""

ROOM = 1 << 17
STATE_BYTES = 8
RETRY_SECONDS = 0.2

Shared = Array[c_ubyte]


def new_ledger() -> Shared:
    """Return the memory for a ledger; without a lock, which a killed listener could keep."""
    shared = RawArray(c_ubyte, STATE_BYTES + 2 * ROOM)
    memoryview(shared).cast("B")[STATE_BYTES:] = FILLER * (2 * ROOM)
    return shared


class LogFile:
    """A file that whole records are appended to, rotated between them."""

    def __init__(self, path: Path, max_bytes: int = 0, backups: int = 0) -> None:
        """Open ``path``; let it grow to ``max_bytes`` (0: without limit), keep ``backups``."""
        self.path, self.max_bytes, self.backups = path, max_bytes, backups
        self.descriptor = -1
        self.reopen()

    @property
    def size(self) -> int:
        """Its size in bytes now; whoever truncates it (logrotate's copytruncate) is believed."""
        return os.fstat(self.descriptor).st_size

    def end_line(self) -> None:
        """Complete a line that was cut, by a power failure for example."""
        with self.path.open("rb") as file:
            if self.size and file.seek(-1, os.SEEK_END) >= 0 and file.read() != b"\n":
                self.append(b"\n")

    def reopen(self) -> None:
        """Open the path again, which may by now be another file."""
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

    def close(self) -> None:
        """Close it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def append(self, data: bytes) -> None:
        """Write all of it; while the disk is full, wait for space."""
        while data:
            try:
                data = data[os.write(self.descriptor, data) :]
            except OSError:  # the pipe fills meanwhile, and the workers turn to their rescue file
                time.sleep(RETRY_SECONDS)

    def rotate(self) -> None:
        """Rename log to log.1, log.1 to log.2 and so on, and begin a new file."""
        for number in range(self.backups, 0, -1):
            with suppress(FileNotFoundError):
                os.replace(self._backup(number - 1), self._backup(number))
        if not self.backups:
            self.path.unlink(missing_ok=True)
        self.reopen()

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path


class Ledger:
    """What was read from the pipe and is not yet in the file.

    Of two buffers one is in use. What is left of it when it is turned over goes to the other one,
    which counts from the moment when the state says so.
    """

    def __init__(self, shared: Shared, file: LogFile) -> None:
        """Go on where the last listener stopped, which may be in the middle of a write."""
        view = memoryview(shared).cast("B")
        self.state = view[:STATE_BYTES].cast("q")
        self.buffers = view[STATE_BYTES : STATE_BYTES + ROOM], view[STATE_BYTES + ROOM :]
        state = self.state[0]
        self.active, self.begin, self.offset = state & 1, state >> 1 & 0xFFFFF, state >> 21
        self.buffers[1 - self.active][:] = FILLER * ROOM
        self.end = len(bytes(self.buffers[self.active]).rstrip(FILLER))
        self.written = 0
        """How much of what comes next is in the file already."""
        if self.begin < self.end:
            self.written = max(0, file.size - self.offset)
        else:
            file.end_line()

    def read(self, descriptor: int) -> int:
        """Read what there is, as far as there is room; return the number of bytes, 0 at the end."""
        count = os.readv(descriptor, [self.buffers[self.active][self.end :]])
        self.end += count
        return count

    def records(self) -> bytes:
        """Return the whole records, as they are on the wire."""
        data = bytes(self.buffers[self.active][self.begin : self.end])
        whole = data.rfind(b"\n") + 1
        return data[:whole] if whole or self.end < ROOM else data

    def move(self, count: int, offset: int) -> None:
        """Note that ``count`` more bytes are done and that what follows belongs at ``offset``."""
        self.begin += count
        self.offset = offset
        self._commit()

    def turn_over(self) -> None:
        """Make room: go on in the other buffer."""
        old = self.buffers[self.active]
        rest = bytes(old[self.begin : self.end])
        self.buffers[1 - self.active][: len(rest)] = rest
        used, self.active, self.begin, self.end = self.end, 1 - self.active, 0, len(rest)
        self._commit()
        old[:used] = FILLER * used

    def _commit(self) -> None:
        self.state[0] = self.offset << 21 | self.begin << 1 | self.active


def copy(ledger: Ledger, file: LogFile) -> list[bytes]:
    """Write the whole records of a ledger to a file; return the commands found among them."""
    commands = []
    for line in _runs(ledger.records()):
        if line.startswith(COMMAND) and not line.startswith(INCLUDE):
            commands.append(line[1:-1])
            ledger.move(len(line), ledger.offset)
        elif line.startswith(INCLUDE):
            part = file.path.with_name(os.fsdecode(line[len(INCLUDE) : -1]))
            _write(ledger, file, line, _read_part(part))
            part.unlink(missing_ok=True)
        else:
            _write_records(ledger, file, line)
    ledger.turn_over()
    return commands


def _runs(records: bytes) -> Iterator[bytes]:
    """Split records into commands, one by one, and all that is between them."""
    while (at := records.find(COMMAND)) >= 0:
        if at:
            yield records[:at]
        end = records.find(b"\n", at) + 1 or len(records)
        yield records[at:end]
        records = records[end:]
    if records:
        yield records


def _write_records(ledger: Ledger, file: LogFile, records: bytes) -> None:
    while file.max_bytes and records:
        room = file.max_bytes - file.size + ledger.written
        fitting = records.rfind(b"\n", 0, max(room, 0)) + 1 or records.find(b"\n") + 1
        _write(ledger, file, records[:fitting], records[:fitting])
        records = records[fitting:]
    if records:
        _write(ledger, file, records, records)


def _write(ledger: Ledger, file: LogFile, wire: bytes, text: bytes) -> None:
    """Append ``text``, for the next ``wire`` in the ledger; in a new file where it does not fit."""
    text = text.replace(NEWLINE, b"\n")
    begun = file.size - ledger.written
    if file.max_bytes and begun and begun + len(text) > file.max_bytes:
        file.rotate()
        begun = file.size
    ledger.move(0, begun)
    file.append(text[ledger.written :])
    ledger.written = 0
    ledger.move(len(wire), file.size)


def _read_part(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        return f"[a long log record could not be read: {error}]\n".encode()
