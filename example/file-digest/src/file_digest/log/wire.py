"""The format of records and commands on the pipe.

A record is a line. One that is longer than an atomic write may be travels as pieces, each a line of
its own, and a last line that stands for the whole. The listener lays the pieces down where they
belong, so it needs nothing of the process that logs: no folder, no user, no descriptor.
"""

import os
import re
import select
from collections.abc import Iterator
from typing import NamedTuple

# Bytes that UTF-8 never contains.
NEWLINE = b"\xfd"
"""A line break inside a record, so that every newline ends a line of the wire."""
FILLER = b"\xfe"
"""Marks bytes of the listener's memory that nothing was read into."""
COMMAND = b"\xff"
"""Begins a line that is no record."""
INCLUDE = COMMAND + b"include "
"""Followed by name and length of a record whose pieces have all been sent."""
PIECE = COMMAND + b"piece "
"""Followed by a record's name, where in it the piece belongs, and the piece."""
STOP = b"stop"
REOPEN = b"reopen"

ATOMIC = getattr(select, "PIPE_BUF", 512)
"""Bytes that a pipe takes whole or not at all: pipe(7)."""
PIECE_BYTES = ATOMIC - 64

_PIECE = re.compile(re.escape(PIECE) + rb"([\w-]+) (\d+) (.*)\n", re.DOTALL)
_INCLUDE = re.compile(re.escape(INCLUDE) + rb"([\w-]+) (\d+)\n")


class Piece(NamedTuple):
    """A piece of a record."""

    name: str
    offset: int
    data: bytes


def cut(line: bytes, run: str, size: int = PIECE_BYTES) -> Iterator[bytes]:
    """Cut a record's line into lines that an atomic write can carry.

    Its name is drawn by chance: processes, threads, signal handlers, and containers that share a
    folder all name records at the same time.
    """
    name, body = f"{run}-{os.urandom(8).hex()}".encode(), line[:-1]
    for offset in range(0, len(body), size):
        yield b"%s%s %d %s\n" % (PIECE, name, offset, body[offset : offset + size])
    yield b"%s%s %d\n" % (INCLUDE, name, len(body))


def piece_in(line: bytes) -> Piece | None:
    """Return the piece that a line carries, if it carries one."""
    if not (match := _PIECE.fullmatch(line)):
        return None
    return Piece(match[1].decode(), int(match[2]), match[3])


def included_in(line: bytes) -> tuple[str, int]:
    """Return name and length of the record that a line stands for; no name if it is malformed."""
    match = _INCLUDE.fullmatch(line)
    return (match[1].decode(), int(match[2])) if match else ("", 0)


def wire_line(text: str) -> bytes:
    """Return a record's text as one line; what UTF-8 cannot hold is escaped."""
    return text.encode("utf-8", "backslashreplace").replace(b"\n", NEWLINE) + b"\n"


def file_text(lines: bytes) -> bytes:
    """Return what is to be in the file for lines of the wire."""
    return lines.replace(NEWLINE, b"\n")


def is_command(line: bytes) -> bool:
    """Whether a line is a command, neither a record nor in place of one."""
    return line.startswith(COMMAND) and not line.startswith(INCLUDE)
