"""Report the service's state to systemd: sd_notify(3)."""

import os
import re
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from math import inf


class Notifier:
    """Sends datagrams to the socket that systemd names; without one it does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Read systemd's variables: ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID``."""
        self.address = re.sub("^@", "\0", environment.get("NOTIFY_SOCKET", ""))
        limit, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        is_ours = limit.isdecimal() and pid in ("", str(os.getpid()))
        self.interval = int(limit) / 2_000_000 if is_ours else inf
        """Seconds between two signs of life: half of systemd's limit."""
        self.due = 0.0 if is_ours else inf
        self.status: str | None = None
        self.stops = False

    def beat(self, status: str) -> None:
        """Send readiness the first time, ``status`` if it changed, and the watchdog's sign."""
        lines = ["READY=1"] if self.status is None else []
        if status != self.status:
            lines.append(f"STATUS={status}")
            self.status = status
        if time.monotonic() >= self.due:
            lines.append("WATCHDOG=1")
            self.due = time.monotonic() + self.interval
        self._send(lines)

    def stopping(self) -> None:
        """Send, once, that the service is about to end."""
        if not self.stops:
            self.stops = True
            self._send(["STOPPING=1"])

    def _send(self, lines: list[str]) -> None:
        if sys.platform != "win32" and self.address and lines:
            # A manager that does not read must not hold main up.
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self.address)
