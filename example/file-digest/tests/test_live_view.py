"""The live view: what each worker is at, while a run works."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from file_digest.cli.progress import Bar, Lines, at_work
from file_digest.items.stats import RunStats

from .support.service import PACKAGE, Service, wait_for


def test_the_longest_comes_first() -> None:
    """A stuck item is at the top, however many workers there are."""
    now = time.monotonic()
    lines = at_work({"worker-1": ("new", now - 1), "worker-2": ("old", now - 90)})
    assert [line.split()[0] for line in lines] == ["worker-2:", "worker-1:"]
    assert re.fullmatch(r"worker-2: 90\.\d s at old", lines[0])


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x1b[2J\x07bell", r"\x1b[2J\x07bell"),
        ("two\nlines\r\t", r"two\nlines\x0d\t"),
        ("no \udcff unicode", r"no \udcff unicode"),
        ("exe.\u202egpj", r"exe.\u202egpj"),
        ("[bold]markup[/]", "[bold]markup[/]"),
    ],
)
def test_a_key_cannot_command_the_terminal(
    key: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a file is called, its name is shown and not obeyed."""
    stats = RunStats(current_items={"worker-1": (key, time.monotonic())})
    Lines(verbose=True).draw(stats)
    assert capsys.readouterr().err.splitlines()[1].endswith(f"s at {shown}")
    with Bar(lambda: None, verbose=True) as bar:
        bar.draw(stats)
    assert f"s at {shown}" in capsys.readouterr().err


def test_workers_are_shown_on_demand_only(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --verbose the bar is alone."""
    stats = RunStats(current_items={"worker-1": ("item", time.monotonic())})
    Lines().draw(stats)
    with Bar(lambda: None) as bar:
        bar.draw(stats)
    assert "worker-1" not in capsys.readouterr().err


if sys.platform != "win32":
    import pty

    def test_a_stuck_item_is_seen_while_it_is_stuck(service: Callable[..., Service]) -> None:
        """On a terminal, run --verbose shows a worker's item and a time that grows."""
        stuck = service("stuck")
        terminal, end = pty.openpty()
        run = ("run", "--verbose", "begun", "--workers", "2", "--grace", "0")
        process = subprocess.Popen(
            [sys.executable, "-m", PACKAGE, *run],
            cwd=stuck.folder,
            env=stuck.environment | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
            stdout=subprocess.DEVNULL,
            stderr=end,
        )
        os.close(end)
        try:
            seen: list[bytes] = []

            def times() -> list[bytes]:
                seen.append(os.read(terminal, 1 << 16))
                return re.findall(rb"worker-\d+: ([1-9]\d*)\.\d s at stuck", b"".join(seen))

            wait_for(times, "more than a second at the stuck item")
            process.send_signal(signal.SIGINT)
            with suppress(OSError):  # the terminal's end, once nobody writes to it any more
                while os.read(terminal, 1 << 16):
                    pass
            assert process.wait(30) == 130
        finally:
            process.kill()
            process.wait()
            os.close(terminal)
