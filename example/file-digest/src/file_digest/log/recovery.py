"""Copy log records from a pipe into a file without loss, even if the listener is killed.

    pipe ── readv ──▶ RecoveryBuffer ── write ──▶ file

The buffer is memory that main shares with each listener in turn. The kernel puts what it takes from
the pipe straight into it. Whatever the moment at which a listener is killed, the next one finds
there what was read and not yet written, and where in the file it belongs. One aligned store of
eight bytes moves the buffer from one state to the next.
"""

import os
import sys
from collections.abc import Iterator
from ctypes import Array, c_ubyte
from multiprocessing.sharedctypes import RawArray

from .logfile import LogFile
from .parts import PartFiles
from .stream import LogStream
from .wire import COMMAND, FILLER, INCLUDE, file_text, included_in, is_command, piece_in

ROOM = 1 << 17
STATE_BYTES = 8

Shared = Array[c_ubyte]
Log = LogFile | LogStream


def new_shared_bytes() -> Shared:
    """Return the memory for a buffer; without a lock, which a killed listener could keep."""
    shared = RawArray(c_ubyte, STATE_BYTES + 2 * ROOM)
    memoryview(shared).cast("B")[STATE_BYTES:] = FILLER * (2 * ROOM)
    return shared


class RecoveryBuffer:
    """Holds the bytes that were read from the pipe and are not yet in the file.

    One of two buffers is in use. ``swap`` copies what is left of it to the other one, which counts
    from the moment when the state says so.
    """

    def __init__(self, shared: Shared, file: Log) -> None:
        """Go on where the last listener stopped, which may be in the middle of a write."""
        self.parts = PartFiles(file.path)
        view = memoryview(shared).cast("B")
        self.state = view[:STATE_BYTES].cast("q")
        self.buffers = view[STATE_BYTES : STATE_BYTES + ROOM], view[STATE_BYTES + ROOM :]
        state = self.state[0]
        self.active, self.begin, self.offset = state & 1, state >> 1 & 0xFFFFF, state >> 21
        self.buffers[1 - self.active][:] = FILLER * ROOM
        self.end = len(bytes(self.buffers[self.active]).rstrip(FILLER))
        self.written = self._found_in(file)
        """Bytes of the next write that are in the file already."""
        if not self.written:
            file.end_line()

    def read(self, descriptor: int) -> int:
        """Read what there is, as far as there is room; return the number of bytes, 0 at the end."""
        room, count = self.buffers[self.active][self.end :], 0
        if sys.platform != "win32":
            count = os.readv(descriptor, [room])
        self.end += count
        return count

    def records(self) -> bytes:
        """Return the whole records, as they are on the wire; what no buffer can hold, in parts.

        A full buffer of which something is done may end in part of a record: ``swap`` makes room
        for the rest, unless its listener was killed just before.
        """
        data = bytes(self.buffers[self.active][self.begin : self.end])
        whole = data.rfind(b"\n") + 1
        return data[: whole or (len(data) if len(data) == ROOM else 0)]

    def advance(self, count: int, offset: int) -> None:
        """Note that ``count`` more bytes are done and that what follows belongs at ``offset``."""
        self.begin += count
        self.offset = offset
        self._commit()

    def swap(self) -> None:
        """Make room: go on in the other buffer."""
        old = self.buffers[self.active]
        rest = bytes(old[self.begin : self.end])
        self.buffers[1 - self.active][: len(rest)] = rest
        used, self.active, self.begin, self.end = self.end, 1 - self.active, 0, len(rest)
        self._commit()
        old[:used] = FILLER * used

    def _found_in(self, file: Log) -> int:
        begun = next(_runs(self.records()), COMMAND)
        return 0 if is_command(begun) else file.holds(log_text(begun, self.parts), self.offset)

    def _commit(self) -> None:
        self.state[0] = self.offset << 21 | self.begin << 1 | self.active


def copy_records(buffer: RecoveryBuffer, file: Log) -> list[bytes]:
    """Write the whole records of a buffer to a file; return the commands found among them."""
    commands = []
    for line in _runs(buffer.records()):
        if line.startswith(INCLUDE):
            _write(buffer, file, line)
            buffer.parts.remove(included_in(line)[0])
        elif is_command(line):
            if piece := piece_in(line):
                buffer.parts.add(piece)
            else:
                commands.append(line[1:-1])
            buffer.advance(len(line), buffer.offset)
        else:
            _write_records(buffer, file, line)
    buffer.swap()
    return commands


def log_text(wire: bytes, parts: PartFiles) -> bytes:
    """Return what is to be in the log for records on the wire."""
    if wire.startswith(INCLUDE):
        wire = parts.read(*included_in(wire)) + b"\n"
    return file_text(wire)


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


def _write_records(buffer: RecoveryBuffer, file: Log, records: bytes) -> None:
    while file.max_bytes and records:
        room = file.max_bytes - file.size + buffer.written
        fitting = records.rfind(b"\n", 0, max(room, 0)) + 1 or records.find(b"\n") + 1
        fitting = fitting or len(records)
        _write(buffer, file, records[:fitting])
        records = records[fitting:]
    if records:
        _write(buffer, file, records)


def _write(buffer: RecoveryBuffer, file: Log, wire: bytes) -> None:
    """Append the text of the next ``wire`` in the buffer; in a new file where it does not fit."""
    text = log_text(wire, buffer.parts)
    begun = file.size - buffer.written
    if file.max_bytes and begun and begun + len(text) > file.max_bytes:
        file.rotate()
        begun = file.size
    buffer.advance(0, begun)
    file.append(text[buffer.written :])
    buffer.written = 0
    buffer.advance(len(wire), file.size)
