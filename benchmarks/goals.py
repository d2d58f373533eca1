"""The goals, compared with the measurements."""

from collections.abc import Iterator
from dataclasses import dataclass

from .cases import (
    ARRAYS,
    BYTES,
    CALLER,
    CLUSTER,
    DIGEST,
    DIGEST_FEW,
    EVEN,
    GENERATOR,
    JOURNAL,
    JSON,
    LOG,
    LOG_1,
    LOG_8,
    LONGEST_LAST,
    MEGABYTE,
    MILLISECOND,
    PRELOAD,
    RECYCLING,
    RENDERING,
    REPLACING,
    START,
    TINY,
    UNEVEN,
    WAITING,
    Sizes,
    cost_title,
)
from .preload_suite import EACH, PRELOADED
from .results import IDEAL, Results
from .whole_suite import EACH_LOGGED, KEEPING

RECORDS = "records_per_second"
ITEMS = "items_per_second"
PIPE = "ours, pipe"
CLASSIC = "classic queue"
FILE = "FileHandler per process"
PROCESS = "ours, process"
POOL = "ours, pool"
DASK = "ours, dask"

LOG_WANTED = {LOG: 9, CALLER: 7.5, JSON: 5}
"""Goals of the log, as multiples of the classic queue's records per second."""
IDEAL_WANTED = 1.05
EVEN_WANTED = {"0.1 ms": 0.9, "1 ms": 1, "10 ms": 1, "100 ms": 1}
TO_LAST = "seconds_to_last"

REASONS: dict[str, str] = {
    f"{LOG}: {PIPE} against {CLASSIC}": (
        "of 5.9 µs of CPU a record 1.6 are the write and 1 the standard library's Logger; the "
        "ratio depends on what the machine's semaphores cost, which the classic queue pays for."
    ),
    f"{LOG}: {PIPE} against loguru": (
        "loguru takes 60 µs a record on this machine, ten times what a record takes here; to be "
        "twelve times as fast the standard library's Logger would have to be left out."
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
    f"{EVEN['10 ms']}: {PROCESS} against the best peer": (
        "main takes 1 to 2 % of a core beside two workers that want both; the rest is within what "
        "rounds of one and the same contestant differ by."
    ),
    f"{EVEN['100 ms']}: {PROCESS} against the best peer": (
        "by less than the rounds of one and the same contestant differ."
    ),
    f"{MEGABYTE}: {PROCESS} against the best peer": (
        "a result is JSON text: it is encoded in the worker and copied once more than a pickle. "
        "With the kernel's own size of socket buffers it took 1.1 times as long as now."
    ),
    f"{BYTES}: {PROCESS} against the best peer": (
        "results are JSON, so that 1 MB comes back as 1.4 MB of base64."
    ),
    f"{ARRAYS}: {PROCESS} against the best peer": (
        "joblib writes an array to a file and has workers map it; here it is pickled and goes "
        "through a socket. Who has such items yields paths."
    ),
    f"{UNEVEN}: {PROCESS}": (
        "two rounds, and those of the ideal itself differ by more: compare process and pool, which "
        "deal items out alike."
    ),
    f"{LONGEST_LAST}: {PROCESS}": (
        "the same; and nobody who takes items in the order in which they come can begin early on "
        "what comes last."
    ),
    **{
        f"{title}: {PROCESS} against the best peer": (
            "a worker is a session with a control thread, a pipe for its output and a file for its "
            "stack: its start takes 8 to 10 ms of CPU, by fork mostly for pages that are copied."
        )
        for title in WAITING.values()
    },
    **{
        f"{title}: main's CPU an item": (
            "a third are the two system calls of an item that travels alone, a fifth choosing and "
            "packing it, a tenth the journal; peers take 80 to 90 µs in the same run."
        )
        for title in WAITING.values()
    },
    f"{JOURNAL}: a key that is done, run again": (
        "half of it is SQLite's search for keys, a fifth reading them from items()."
    ),
    f"{JOURNAL}: a row as JSON lines": (
        "a third is reading the row from SQLite, a third making its values JSON, after a check "
        "of each that a damaged file hides no row."
    ),
    f"{JOURNAL}: a row as CSV": "half is Python's csv module, a third SQLite.",
    f"{DIGEST_FEW}: {PROCESS} against the best peer": (
        "starting takes 0.4 s of its 0.7 s: click, the forkserver, the listener, the journal."
    ),
    "Cost of one of 1,000,000 items": (
        "main's CPU an item is the same, 5.5 and 5.7 µs: what comes on top is waiting for the "
        "disk, to which SQLite's checkpoints copy 83 MB."
    ),
    "Rendering a project": "some 250 files, 2 to 3 ms each; nearly all of it is the engine's own.",
    "--help": "by less than the rounds differ; most of it is the import of click.",
}
"""The beginning of a goal's text, to the reason why it may be missed."""


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
    of_items = (*_items(results), *_large(results), *_uneven(results), *_many(results))
    return [*_log(results), *of_items, *_journal(results), *_whole(results, sizes)]


def _log(results: Results) -> Iterator[Goal]:
    for title, ours, other, wanted in (
        *((title, PIPE, CLASSIC, wanted) for title, wanted in LOG_WANTED.items()),
        (LOG, PIPE, "loguru", 12),
        (LOG, PIPE, "concurrent-log-handler", 7),
        (LOG, PIPE, FILE, 1.5),
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
    ratio = results.ratio(TINY, DASK, "dask client.map", ITEMS)
    yield Goal(f"{TINY}: {DASK} against dask client.map", ratio, 20)
    for kind, title in EVEN.items():
        yield _against_best(results, title, PROCESS, "efficiency", EVEN_WANTED[kind])
    yield _against_best(results, MILLISECOND, POOL, "efficiency", 0.95)
    for ours in (PROCESS, POOL):
        growth = results.median(GENERATOR, ours, "late_mb")
        yield Goal(f"{GENERATOR}: {ours}, in the second half", growth, 2, at_most=True, unit="MB")


def _large(results: Results) -> Iterator[Goal]:
    for title, figure in (
        (MEGABYTE, "mb_per_second"),
        (BYTES, "mb_per_second"),
        (ARRAYS, "mb_sent_per_second"),
    ):
        yield _against_best(results, title, PROCESS, figure, 1)


def _uneven(results: Results) -> Iterator[Goal]:
    for title in (UNEVEN, LONGEST_LAST):
        ratio = results.ratio(title, PROCESS, IDEAL, TO_LAST)
        yield Goal(f"{title}: {PROCESS} against the ideal", ratio, IDEAL_WANTED, at_most=True)
        yield _against_best(results, title, PROCESS, TO_LAST, 1.02)


def _many(results: Results) -> Iterator[Goal]:
    for title in WAITING.values():
        yield _against_best(results, title, PROCESS, ITEMS, 1)
        main = results.median(title, PROCESS, "main_us")
        yield Goal(f"{title}: main's CPU an item", main, 25, at_most=True, unit="µs")
    yield _against_best(results, CLUSTER, DASK, ITEMS, 0.95)
    ratio = results.ratio(REPLACING, RECYCLING, PROCESS, ITEMS)
    yield Goal(f"{REPLACING}: against none recycled", ratio, 0.95)


def _journal(results: Results) -> Iterator[Goal]:
    for text, figure, wanted in (
        ("a key that is done, run again", "rerun_us", 2),
        ("a row as JSON lines", "jsonl_us", 2),
        ("a row as CSV", "csv_us", 4),
    ):
        cost = results.median(JOURNAL, PROCESS, figure)
        yield Goal(f"{JOURNAL}: {text}", cost, wanted, at_most=True, unit="µs")


def _against_best(results: Results, title: str, ours: str, figure: str, wanted: float) -> Goal:
    """Return the goal to be as good as the best peer."""
    at_most = figure == TO_LAST
    best = results.best_peer(title, figure, lowest=at_most)
    ratio = results.ratio(title, ours, best, figure) if best else None
    text = f"{title}: {ours} against the best peer ({best})"
    return Goal(text, ratio, wanted, at_most=at_most)


def _whole(results: Results, sizes: Sizes) -> Iterator[Goal]:
    for ours in (PROCESS, PROCESS + EACH_LOGGED):
        for other in ("plain Pool script", "plain Pool script, chunks of 32"):
            ratio = results.ratio(DIGEST, ours, other, "files_per_second")
            yield Goal(f"{DIGEST}: {ours} against {other}", ratio, 0.9)
    yield _against_best(results, DIGEST_FEW, PROCESS, "files_per_second", 1)
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
    shorter = results.ratio(PRELOAD, PRELOADED, EACH, "ready_s")
    yield Goal(f"{PRELOAD}: {PRELOADED} against {EACH}", shorter, 0.1, at_most=True)
