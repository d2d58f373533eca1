"""The ``status`` command: show the counts of the journal, and the state of a live run."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from ..items.events import WorkerNow
from ..results import reading
from ..results.database import JournalError
from ..results.live import Sign, is_running, last_sign
from ..system.files import shown
from ..system.memory import size_text
from ..system.streams import nobody_reads, stdout, tell
from ..system.text import visible

WATCH_SECONDS = 1.0
COUNT_SHARE = 20
"""Pause between two counts, as a multiple of their duration: a large journal takes a while."""


def lines(results: Path) -> list[str]:
    """Return the counts and the state as lines for people.

    Raises:
        JournalError: There is no journal at ``results``.
    """
    return [*_journal_lines(results), *_live_lines(last_sign(results))]


def as_json(results: Path) -> str:
    """Return the same for programs; ``live`` is null where no run works.

    Raises:
        JournalError: There is no journal at ``results``.
    """
    summary, sign = reading.summarize(results), last_sign(results)
    live = sign and {"stuck": sign.is_stuck, "age": round(sign.age, 3), **asdict(sign.live)}
    return json.dumps({"results": str(results), "journal": asdict(summary), "live": live})


def problem(results: Path) -> str:
    """Return why no run works on a journal, or why it is stuck; empty if one works.

    Raises:
        JournalError: That cannot be found out.
    """
    sign = last_sign(results)
    if sign is None:
        begins = is_running(results)
        what = "the run has not begun its work yet" if begins else "no run works on it"
        return f"{shown(results)}: {what}"
    return f"{shown(results)}: {_stuck(sign)}" if sign.is_stuck else ""


def watch(results: Path) -> None:
    """Show the same every second, until Ctrl-C or SIGTERM."""
    with suppress(KeyboardInterrupt), _interruptible(), _screen() as show:
        journal, due = [""], 0.0
        while True:
            began = time.monotonic()
            try:
                if began >= due:
                    journal = list(_journal_lines(results))
                    due = time.monotonic() + COUNT_SHARE * (time.monotonic() - began)
                show([*journal, *_live_lines(last_sign(results))])
            except JournalError as error:
                show([str(error)])
            if nobody_reads():
                return
            time.sleep(WATCH_SECONDS)


def _journal_lines(results: Path) -> Iterator[str]:
    summary = reading.summarize(results)
    yield f"{shown(results)}: {summary.done} done, {summary.failed} failed"
    for name, count in sorted(summary.errors.items(), key=lambda pair: -pair[1]):
        yield f"  {count} x {visible(name)}"
    if summary.unsettled:
        yield f"  {summary.unsettled} not settled"


def _live_lines(sign: Sign | None) -> Iterator[str]:
    if sign is None:
        return
    live, now = sign.live, time.time() - sign.age
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(live.began))
    yield f"a run since {began}, pid {live.pid}, {size_text(live.memory)}: {live.summary}"
    if sign.is_stuck:
        yield f"  {_stuck(sign)}; this was its last word"
    # The one that takes longest first, the idle last.
    for worker in sorted(live.workers, key=lambda one: one.since or now):
        yield f"  {_at(worker, now)}"


def _stuck(sign: Sign) -> str:
    return f"its run, pid {sign.live.pid}, has been stuck for {sign.age:.0f} s"


def _at(worker: WorkerNow, now: float) -> str:
    memory = f", {size_text(worker.memory)}" if worker.memory else ""
    if worker.item is None or worker.since is None:
        return f"{worker.name}: idle{memory}"
    return f"{worker.name}: {now - worker.since:.1f} s at {visible(worker.item)}{memory}"


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt for both signals, so that the cursor comes back."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    yield


@contextmanager
def _screen() -> Iterator[Callable[[list[str]], None]]:
    """Yield a function that replaces the lines on the screen; without a terminal it adds them."""
    if not stdout().isatty():
        yield lambda picture: tell(*picture, "")
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import, and only needed here
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(file=stdout())
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as screen:

        def show(picture: list[str]) -> None:
            text = Text("\n".join(picture), no_wrap=True, overflow="ellipsis")
            screen.update(text, refresh=True)

        yield show
