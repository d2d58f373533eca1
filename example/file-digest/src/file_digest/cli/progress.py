"""The progress of a run: a bar on a terminal, a line each ten seconds elsewhere."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from ..items.backlog import CurrentItems
from ..items.job_options import call_of
from ..items.messages import DONE, FAILED
from ..items.stats import RunStats, pace
from ..settings import Settings
from ..system.files import STDOUT
from ..system.streams import stderr, stderr_is_ready, stdout, tell
from ..system.text import visible

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

log = logging.getLogger(__name__)

LINE_SECONDS = 10.0
DRAW_SECONDS = 0.1


def summary(stats: RunStats) -> list[str]:
    """Return the summary at the end of a run, in lines."""
    earlier, took = Counter(stats.skipped), f"{stats.seconds:.1f} s ({stats.rate:.1f} items/s)"
    lines = [f"{stats.done} done, {stats.failed} failed in {took}"]
    if earlier.total():
        lines.append(f"{earlier[DONE]} done and {earlier[FAILED]} failed in earlier runs")
    if stats.twice:
        lines.append(f"keys that were yielded twice: {stats.twice}; the log names them")
    if earlier[FAILED]:
        lines.append("--retry-failed does the failed ones again")
    if stats.unsettled:
        lines.append(f"left for settled() in the next run: {stats.unsettled} outcomes")
    if stats.halted:
        name, times = stats.errors.most_common(1)[0] if stats.errors else ("", 0)
        lines.append(f"halted by --max-failures; most often, {times} x {visible(name)}")
        lines.append("run it again to do the rest")
    elif stats.signal:
        lines.append("stopped before the end; run it again to do the rest")
    elif not stats.finished:
        again = "; --redo does it all again" if earlier.total() else ""
        lines.append(f"nothing to do{again}")
    return lines


class Progress:
    """Shows nothing; base of those that do."""

    every = float("inf")
    """Seconds between two updates."""

    def __init__(self) -> None:
        """Show nothing before the first outcome."""
        self.shown = time.monotonic()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the display."""

    def show(self, stats: RunStats) -> None:
        """Show the state of the run, unless that was just done, or the screen is not ready."""
        if (now := time.monotonic()) - self.shown >= self.every:
            self.shown = now
            if stderr_is_ready():
                self.draw(stats)

    def draw(self, stats: RunStats) -> None:
        """Show the state of the run."""

    def note(self, text: str) -> None:
        """Show an important message at once, on the screen and in the log."""
        log.info("%s", text)
        self.write(text)

    def write(self, text: str) -> None:
        """Write a line of its own."""
        tell(visible(text), error=True)


class Lines(Progress):
    """A line on standard error every ten seconds."""

    every = LINE_SECONDS

    def __init__(self, *, verbose: bool = False) -> None:
        """Also write a line for each worker that has an item, if ``verbose``."""
        super().__init__()
        self.verbose, self.was_idle = verbose, False

    def draw(self, stats: RunStats) -> None:
        """Write the line; only once while the run is idle."""
        idle, was_idle = stats.idle_since is not None, self.was_idle
        self.was_idle = idle
        if idle and was_idle:
            return
        rate = pace(stats.rate, stats.idle_since)
        line = f"{stats.done} done, {stats.failed} failed, {rate}"
        tell(line, *(at_work(stats.current_items) if self.verbose else []), error=True)


class Bar(Progress):
    """A bar with rate, time left and failures; drawn by main's loop, without a thread."""

    every = DRAW_SECONDS

    def __init__(self, count: Callable[[], int | None], *, verbose: bool = False) -> None:
        """Draw nothing yet.

        Args:
            count: Returns the number of items, or None; it may take long.
            verbose: Whether to show each worker's current item below the bar.
        """
        super().__init__()
        self.count, self.verbose = count, verbose
        self.total: int | None = None
        self.last: RunStats | None = None
        self.workers: list[str] = []
        self.bar = _rich_bar(self.workers)
        self.task = self.bar.add_task("working", total=None, failed=0, rate="")

    def __enter__(self) -> Self:
        """Show the bar, and begin to count."""
        with suppress(RuntimeError):  # no more threads: the run goes on without a total
            threading.Thread(target=self._count, name="count", daemon=True).start()
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bar in its last state on the screen."""
        self.verbose = False
        if self.last:
            self.draw(self.last)
        self.bar.stop()

    def show(self, stats: RunStats) -> None:
        """Show the state of the run, and keep it for the end."""
        self.last = stats
        super().show(stats)

    def draw(self, stats: RunStats) -> None:
        """Redraw the bar."""
        self.workers[:] = at_work(stats.current_items) if self.verbose else []
        begun = stats.seconds or stats.idle_since
        rate = pace(stats.rate, stats.idle_since) if begun else ""
        failed = f"{stats.failed} failed" if stats.failed else ""
        past = stats.finished + sum(stats.skipped.values())
        self.bar.update(self.task, completed=past, total=self.total, failed=failed, rate=rate)
        self.bar.refresh()

    def write(self, text: str) -> None:
        """Write a line above the bar."""
        self.bar.console.print(visible(text), markup=False, highlight=False)

    def _count(self) -> None:
        with suppress(Exception):  # the owner's code; what cannot be counted is done all the same
            self.total = self.count()


def progress_for(settings: Settings, inputs: Sequence[str]) -> Progress:
    """Return the display of a run that suits its settings and the screen."""
    if settings.progress is False:
        return Progress()
    logs_here = settings.log_file == STDOUT and stdout().isatty()  # a bar would be torn by records
    # Nor do a debugger's prompt and a bar go together.
    debugs = not (settings.workers or settings.progress)
    if logs_here or debugs or not stderr().isatty():
        return Lines(verbose=settings.verbose)
    return Bar(partial(_count, inputs, settings.job_option), verbose=settings.verbose)


def _count(inputs: Sequence[str], options: Mapping[str, Any]) -> int | None:
    from .. import job  # noqa: PLC0415 - by now it can be imported

    total = call_of(getattr(job, "count", lambda _: None), inputs, options)()
    return total if isinstance(total, int) else None


def at_work(current_items: CurrentItems) -> list[str]:
    """Return a line for each worker that has an item, the longest running first."""
    now = time.monotonic()
    longest_first = sorted(current_items.items(), key=lambda entry: entry[1][1])
    return [
        f"{name}: {now - since:.1f} s at {visible(key)}" for name, (key, since) in longest_first
    ]


def _rich_bar(workers: list[str]) -> "RichProgress":
    # Imported here: a run without a terminal need not wait 0.2 s for it.
    from rich.console import Console, RenderableType  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as RichBar  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    class BarAndWorkers(RichBar):
        """The bar, and a line below it for each of ``workers``."""

        def get_renderables(self) -> Iterable[RenderableType]:
            """Return what to draw."""
            yield from super().get_renderables()
            yield from (Text(line, no_wrap=True, overflow="ellipsis") for line in workers)

    return BarAndWorkers(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("[red]{task.fields[failed]}"),
        console=Console(file=stderr()),
        auto_refresh=False,
    )
