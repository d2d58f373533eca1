"""Disks that are soon full: one that only root can make, and one that anybody can."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest

if sys.platform != "win32":
    import resource


class Disk:
    """A folder that holds so many bytes."""

    def __init__(self, folder: Path, room: int) -> None:
        """Make it on entry."""
        self.folder, self.room = folder, room

    def __enter__(self) -> Self:
        """Make the folder."""
        self.folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the folder to pytest."""

    limit: Callable[[], None] | None = None
    """Called in a process that is to be limited, before it starts."""

    def is_full(self) -> bool:
        """Whether nothing more can be written."""
        raise NotImplementedError

    def make_room(self, log: Path) -> str:
        """Free space; return the text that had to be removed from the log for it."""
        raise NotImplementedError


class SmallFiles(Disk):
    """No file may be larger: setrlimit(2)."""

    def __enter__(self) -> Self:
        """Make the folder."""
        if sys.platform != "win32":
            self.limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (self.room, self.room))
        return super().__enter__()

    def is_full(self) -> bool:
        """Whether a log has grown to the limit."""
        return any(path.stat().st_size >= self.room for path in self.folder.glob("*.log"))

    def make_room(self, log: Path) -> str:
        """Empty the log."""
        content = log.read_text()
        os.truncate(log, 0)
        return content


class SmallFileSystem(Disk):
    """A tmpfs(5) of its own, with a file that can be removed."""

    def __enter__(self) -> Self:
        """Mount it."""
        super().__enter__()
        size = f"size={2 * self.room}"
        command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self.folder)]
        subprocess.run(command, check=True)
        (self.folder / "ballast").write_bytes(bytes(self.room))
        return self

    def __exit__(self, *_: object) -> None:
        """Unmount it."""
        subprocess.run(["umount", "--lazy", self.folder], check=True)

    def is_full(self) -> bool:
        """Whether no page is free."""
        return shutil.disk_usage(self.folder).free == 0

    def make_room(self, _log: Path) -> str:
        """Remove the ballast."""
        (self.folder / "ballast").unlink()
        return ""


def can_mount() -> bool:
    """Whether this process may mount file systems."""
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    is_root = sys.platform == "linux" and os.geteuid() == 0 and shutil.which("unshare")
    return bool(is_root) and not subprocess.run(probe, check=False).returncode


NEEDS_ROOT = pytest.mark.skipif(not can_mount(), reason="only root can mount a file system")
DISKS = [
    pytest.param(SmallFiles, id="limited files"),
    pytest.param(SmallFileSystem, id="small file system", marks=NEEDS_ROOT),
]
