"""How log records get from a pipe into a file without loss, even if the listener is killed.

    pipe ── readv ──▶ Ledger (memory that main shares with each listener in turn) ── write ──▶ file

The kernel puts what it takes from the pipe straight into the ledger. Whatever the moment at which
a listener is killed, the next one finds there what was read and not yet written, and where in the
file it belongs. One aligned store of eight bytes moves the ledger from one state to the next.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from ctypes import Array, c_ubyte
from multiprocessing.sharedctypes import RawArray
from pathlib import Path

from .parts import Parts, complain, open_for_us, wait_for_space
from .wire import COMMAND, FILLER, INCLUDE, NEWLINE, included_in, is_command, piece_in

ROOM = 1 << 17
STATE_BYTES = 8

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
        self.parts = Parts(path)
        self.descriptor = -1
        self.reopen()

    @property
    def size(self) -> int:
        """Its size in bytes now; whoever truncates it (logrotate's copytruncate) is believed."""
        return os.fstat(self.descriptor).st_size

    def has_room_for(self, count: int) -> bool:
        """Whether so many bytes fit; a single record that is longer than a file may be does."""
        return not (self.max_bytes and self.size and self.size + count > self.max_bytes)

    def holds(self, text: bytes, offset: int) -> int:
        """Return how much of ``text`` is in the file already, from ``offset`` on.

        What follows it was written by somebody else, or is nothing; only in the second case may
        the last line be incomplete.
        """
        with self.path.open("rb") as file:
            file.seek(offset)
            there = file.read(len(text))
        pairs = enumerate(zip(text, there, strict=False))
        same = next((at for at, (ours, its) in pairs if ours != its), len(there))
        return same if same == len(there) else text.rfind(b"\n", 0, same) + 1

    def end_line(self) -> None:
        """Complete a line that was cut, by a power failure for example."""
        with self.path.open("rb") as file:
            if self.size and file.seek(-1, os.SEEK_END) >= 0 and file.read() != b"\n":
                self.append(b"\n")

    def reopen(self) -> None:
        """Open the path again, which may by now be another file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        opened = open_for_us(self.path, os.O_WRONLY | os.O_APPEND)
        self.close()
        self.descriptor = opened

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
            except OSError as error:
                wait_for_space(self.path, error)

    def rotate(self) -> None:
        """Rename log to log.1, log.1 to log.2 and so on, and begin a new file.

        A gap ends it: where a listener was killed in the middle of this, the next one goes on.
        """
        kept = range(1, self.backups + 1)
        gap = next((n for n in kept if not self._backup(n).exists()), self.backups)
        try:
            for number in range(gap, 1, -1):
                os.replace(self._backup(number - 1), self._backup(number))
            with suppress(FileNotFoundError):
                if self.backups:
                    os.replace(self.path, self._backup(1))
                else:
                    self.path.unlink()
            self.reopen()
        except OSError as error:
            complain(f"{self.path} cannot be rotated", error)

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


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
        self.written = self._found_in(file)
        """How much of what comes next is in the file already."""
        if not self.written:
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

    def _found_in(self, file: LogFile) -> int:
        begun = next(_runs(self.records()), COMMAND)
        return 0 if is_command(begun) else file.holds(text_of(begun, file.parts), self.offset)

    def _commit(self) -> None:
        self.state[0] = self.offset << 21 | self.begin << 1 | self.active


def copy(ledger: Ledger, file: LogFile) -> list[bytes]:
    """Write the whole records of a ledger to a file; return the commands found among them."""
    commands = []
    for line in _runs(ledger.records()):
        if line.startswith(INCLUDE):
            _write(ledger, file, line)
            file.parts.remove(included_in(line)[0])
        elif is_command(line):
            if piece := piece_in(line):
                file.parts.add(piece)
            else:
                commands.append(line[1:-1])
            ledger.move(len(line), ledger.offset)
        else:
            _write_records(ledger, file, line)
    ledger.turn_over()
    return commands


def text_of(wire: bytes, parts: Parts) -> bytes:
    """Return what is to be in the log for records on the wire."""
    if wire.startswith(INCLUDE):
        wire = parts.read(*included_in(wire)) + b"\n"
    return wire.replace(NEWLINE, b"\n")


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
        _write(ledger, file, records[:fitting])
        records = records[fitting:]
    if records:
        _write(ledger, file, records)


def _write(ledger: Ledger, file: LogFile, wire: bytes) -> None:
    """Append the text of the next ``wire`` in the ledger; in a new file where it does not fit."""
    text = text_of(wire, file.parts)
    begun = file.size - ledger.written
    if file.max_bytes and begun and begun + len(text) > file.max_bytes:
        file.rotate()
        begun = file.size
    ledger.move(0, begun)
    file.append(text[ledger.written :])
    ledger.written = 0
    ledger.move(len(wire), file.size)
