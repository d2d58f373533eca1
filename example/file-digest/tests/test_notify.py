"""Messages to systemd, sd_notify(3), read by a socket of the test's own."""

import os
import socket
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from file_digest.system.notify import Notifier

pytest.importorskip("fcntl", reason="systemd is Linux's")
assert sys.platform != "win32"

KINDS = ["path", "path@host", *(["abstract"] if sys.platform == "linux" else [])]


class Manager:
    """Stands for systemd."""

    def __init__(self, address: str) -> None:
        """Listen at what ``NOTIFY_SOCKET`` says."""
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.socket.setblocking(False)

    def heard(self) -> list[list[str]]:
        """Return the lines of each datagram since the last call."""
        found: list[list[str]] = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return found


@pytest.fixture(params=KINDS)
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Manager]:
    """Listen at a path, or in Linux's abstract namespace."""
    monkeypatch.chdir(tmp_path)  # its path is too long for a socket
    one = Manager(f"@{uuid.uuid4().hex}" if request.param == "abstract" else request.param)
    yield one
    one.socket.close()


def test_a_run_from_begin_to_end(manager: Manager) -> None:
    """It is up once; its status is told where it has changed; it says that it stops."""
    notifier = Notifier({"NOTIFY_SOCKET": manager.address})
    for status in ("1 done", "1 done", "2 done"):
        notifier.beat(status)
    notifier.stopping()
    assert manager.heard() == [
        ["READY=1", "STATUS=1 done"],
        ["STATUS=2 done"],
        ["STOPPING=1"],
    ]


@pytest.mark.parametrize(
    ("limit", "pid", "signs"),
    [
        ("60000000", str(os.getpid()), 1),
        ("60000000", "", 1),
        ("1", "", 3),
        ("60000000", str(os.getpid() + 1), 0),
        ("", "", 0),
        ("often", "", 0),
    ],
    ids=["for this process", "for any", "all the time", "for another", "none wanted", "nonsense"],
)
def test_signs_of_life(manager: Manager, limit: str, pid: str, signs: int) -> None:
    """They come at half of what systemd waits for one, and only if it waits for this process's."""
    wants = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": limit, "WATCHDOG_PID": pid}
    notifier = Notifier(wants)
    for _ in range(3):
        notifier.beat("")
    assert sum("WATCHDOG=1" in lines for lines in manager.heard()) == signs


def test_nobody_listens(tmp_path: Path) -> None:
    """Neither without a socket, nor at one that is gone, does anything happen."""
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}):
        Notifier(environment).beat("")


def test_a_manager_that_does_not_read_holds_nobody_up(manager: Manager) -> None:
    """A message that does not fit into systemd's queue is dropped."""
    notifier = Notifier({"NOTIFY_SOCKET": manager.address})
    for number in range(10_000):
        notifier.beat(f"{number} done")
    assert 0 < len(manager.heard()) < 10_000
