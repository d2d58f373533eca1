"""What is to be reached, put beside what was."""

from collections.abc import Iterator
from dataclasses import dataclass

from .cases import (
    CALLER,
    DIGEST,
    GENERATOR,
    JSON,
    LOG,
    LOG_1,
    LOG_8,
    MILLISECOND,
    RENDERING,
    START,
    TINY,
    Sizes,
    cost_title,
)
from .results import Results
from .whole_suite import EACH_LOGGED, KEEPING

RECORDS = "records_per_second"
ITEMS = "items_per_second"
PIPE = "ours, pipe"
CLASSIC = "classic queue"
FILE = "FileHandler per process"
PROCESS = "ours, process"
POOL = "ours, pool"
DASK = "ours, dask"

TINY_REASON = (
    "each item has a key, a slot that names it while it runs, a time and an outcome of its own, "
    "and is read no sooner than needed: 0.2 µs in a worker and 0.26 µs in main, a third of it the "
    "source's making of the key. Pool.map moves whole chunks and keeps nothing of an item but its "
    "result; with so little work an item, any account of it costs more than the item."
)
REASONS: dict[str, str] = {
    f"{LOG}: {PIPE} against {CLASSIC}": (
        "of 5.9 µs of CPU a record 1.6 are the write and 1 the standard library's Logger; the "
        "ratio depends on what the machine's semaphores cost, which the classic queue pays for."
    ),
    f"{LOG}: {PIPE} against loguru": (
        "loguru takes 60 µs a record on this machine, ten times what a record takes here; to be "
        "twelve times as fast the standard library's Logger would have to be left out."
    ),
    f"{TINY}: {PROCESS} against Pool.map": TINY_REASON,
    f"{TINY}: {PROCESS} against Pool.imap_unordered": TINY_REASON,
    f"{TINY}: {POOL} against Pool.imap_unordered(1000)": (
        "the same, and in main the Pool's own three threads take turns with the one that reads "
        "the source and the one that accounts for items: one interpreter, one lock."
    ),
    f"{MILLISECOND}: {PROCESS} against the best peer": (
        "batches of 20 ms. A Pool with chunks of 32 items does no better; only who sends 1,000 at "
        "a time, here half of the job, leaves both workers undisturbed. The two workers and main "
        "share two cores, and larger batches would have more wait behind a slow item."
    ),
    f"{MILLISECOND}: {POOL} against the best peer": (
        "the same, and each batch passes through the Pool's own three threads in main."
    ),
    f"{DIGEST}: {PROCESS} against plain Pool script, chunks of 32": (
        "a journal row costs main 3 to 4 µs a file, and the service 0.2 s more to start."
    ),
    f"{DIGEST}: {PROCESS}{EACH_LOGGED} against plain Pool script, chunks of 32": (
        "the same, and a log line for each file."
    ),
    "Rendering a project": "by less than the rounds differ; nearly all of it is the engine's own.",
    "--help": "by less than the rounds differ; most of it is the import of click.",
}
"""What a goal's text begins with to why it may be missed."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One of them."""

    text: str
    figure: float | None
    wanted: float
    at_most: bool = False
    unit: str = "x"

    @property
    def missed(self) -> bool:
        """Whether it was measured and is not reached."""
        if self.figure is None:
            return False
        return self.figure > self.wanted if self.at_most else self.figure < self.wanted

    @property
    def reason(self) -> str:
        """Why it is missed, if that is known."""
        return next((why for goal, why in REASONS.items() if self.text.startswith(goal)), "")

    @property
    def verdict(self) -> str:
        """Met, missed, or not measured."""
        if self.figure is None:
            return "**not measured**"
        return "**missed**" if self.missed else "met"

    def row(self) -> list[str]:
        """Return it as a row of a table."""
        shown = "" if self.figure is None else f"{self.figure:.3g} {self.unit}"
        sign = "≤" if self.at_most else "≥"
        return [self.text, f"{sign} {self.wanted:g} {self.unit}", shown, self.verdict]


def goals(results: Results, sizes: Sizes) -> list[Goal]:
    """Return all goals."""
    return [*_log(results), *_items(results), *_whole(results, sizes)]


def _log(results: Results) -> Iterator[Goal]:
    for title, ours, other, wanted in (
        (LOG, PIPE, CLASSIC, 7),
        (LOG, PIPE, "loguru", 12),
        (LOG, PIPE, "concurrent-log-handler", 7),
        (LOG, PIPE, FILE, 1.5),
        (CALLER, PIPE, CLASSIC, 4),
        (JSON, PIPE, CLASSIC, 4),
        (LOG, "ours, queue", CLASSIC, 1),
    ):
        ratio = results.ratio(title, ours, other, RECORDS)
        yield Goal(f"{title}: {ours} against {other}", ratio, wanted)
    latency = results.ratio(LOG, PIPE, FILE, "p99_us")
    yield Goal(f"{LOG}: p99 of a call against {FILE}", latency, 1, at_most=True)
    share = results.median(LOG, PIPE, "listener_share")
    percent = None if share is None else share * 100
    yield Goal(f"{LOG}: listener's share of the CPU", percent, 5, at_most=True, unit="%")
    growth = results.median(LOG, PIPE, "listener_mb")
    yield Goal(f"{LOG}: growth of the listener", growth, 1, at_most=True, unit="MB")
    one, eight = (results.median(title, PIPE, RECORDS) for title in (LOG_1, LOG_8))
    steady = eight / one if one and eight else None
    yield Goal("Log: 8 workers against 1 worker", steady, 1)


def _items(results: Results) -> Iterator[Goal]:
    for ours, other, wanted in (
        (PROCESS, "Pool.map", 1.1),
        (PROCESS, "Pool.imap_unordered", 100),
        (POOL, "Pool.imap_unordered(1000)", 0.9),
        (DASK, "dask client.map", 20),
    ):
        ratio = results.ratio(TINY, ours, other, ITEMS)
        yield Goal(f"{TINY}: {ours} against {other}", ratio, wanted)
    best = results.best_peer(MILLISECOND, "efficiency")
    for ours, wanted in ((PROCESS, 0.98), (POOL, 0.95)):
        ratio = results.ratio(MILLISECOND, ours, best, "efficiency") if best else None
        yield Goal(f"{MILLISECOND}: {ours} against the best peer ({best})", ratio, wanted)
    for ours in (PROCESS, POOL):
        growth = results.median(GENERATOR, ours, "late_mb")
        yield Goal(f"{GENERATOR}: {ours}, in the second half", growth, 2, at_most=True, unit="MB")


def _whole(results: Results, sizes: Sizes) -> Iterator[Goal]:
    for ours in (PROCESS, PROCESS + EACH_LOGGED):
        for other in ("plain Pool script", "plain Pool script, chunks of 32"):
            ratio = results.ratio(DIGEST, ours, other, "files_per_second")
            yield Goal(f"{DIGEST}: {ours} against {other}", ratio, 0.9)
    few, many = (
        results.median(cost_title(items), PROCESS, "us_per_item")
        for items in (sizes.curve[-2], sizes.curve[-1])
    )
    flat = many / few if few and many else None
    text = f"Cost of one of {sizes.curve[-1]:,} items against one of {sizes.curve[-2]:,}"
    yield Goal(text, flat, 1.1, at_most=True)
    ratio = results.ratio(cost_title(sizes.curve[-1]), PROCESS + KEEPING, PROCESS, "journal_mb")
    text = f"Journal of {sizes.curve[-1]:,} items that keeps the last second's against all"
    yield Goal(text, ratio, 0.5, at_most=True)
    for title, text, figure, wanted in (
        (RENDERING, "Rendering a project", "rendering_s", 0.3),
        (START, "--help", "help_s", 0.2),
        (START, "run: from the command to the first outcome", "first_outcome_s", 0.5),
        (cost_title(sizes.curve[0]), "run: from main.run to the first outcome", "start_s", 0.5),
    ):
        seconds = results.median(title, PROCESS, figure)
        yield Goal(text, seconds, wanted, at_most=True, unit="s")
