"""Room in a descriptor, found before something is written to it."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress

import pytest

from file_digest.system import files
from file_digest.system.screen import has_room

pytest.importorskip("fcntl", reason="pipes of Windows cannot be asked")
assert sys.platform != "win32"


@pytest.mark.parametrize("copy", [os.dup, files.high_duplicate, files.duplicate])
def test_a_full_pipe_has_no_room_whatever_its_number(copy: Callable[[int], int]) -> None:
    """Numbers above select's are asked for, too; a reader or an error makes room."""
    reader, writer = os.pipe()
    other = copy(writer)
    os.set_blocking(writer, False)
    assert has_room(other, 0)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    assert not has_room(other, 0)
    assert not has_room(other, 0.01)
    os.close(reader)
    assert has_room(other, 0)
    os.close(other)
    assert has_room(other, 0)
    os.close(writer)
