"""The cases of the benchmarks, and their sizes in a full run, a quick one, and a test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import (
    cluster_suite,
    item_contestants,
    item_suite,
    journal_suite,
    log_suite,
    preload_suite,
    uneven_suite,
    waiting_suite,
    whole_suite,
)
from .harness import Case
from .results import IDEAL

LOG = "Log: 4 workers, text"
LOG_1 = "Log: 1 worker, text"
LOG_8 = "Log: 8 workers, text"
CALLER = "Log: 4 workers, text with the caller's file and line"
JSON = "Log: 4 workers, JSON"
TINY = "Items: tiny"
MILLISECOND = "Items: 1 ms of computation each"
EVEN = {
    "0.1 ms": "Items: 0.1 ms of computation each",
    "1 ms": MILLISECOND,
    "10 ms": "Items: 10 ms of computation each",
    "100 ms": "Items: 100 ms of computation each",
}
MEGABYTE = "Items: 1 MB there and back"
BYTES = "Items: 1 MB of bytes there and back"
ARRAYS = "Items: NumPy arrays of 100 MB"
UNEVEN = "Items: uneven, as they come"
LONGEST_LAST = "Items: uneven, the longest last"
WAITING = {
    method: f"Items: many workers by {method}, each item waits for 50 ms"
    for method in ("forkserver", "fork")
}
CLUSTER = "Items: dask on a cluster, each item waits for 10 ms"
REPLACING = "Items: 1 ms each, and workers recycled"
GENERATOR = "Items: memory on a generator"
JOURNAL = "Journal: run again, and export"
DIGEST = "Whole service: small files digested"
DIGEST_FEW = "Whole service: fewer small files digested"
START = "Whole service: start"
RENDERING = "Whole service: rendering a project"
PRELOAD = "Whole service: start of workers whose job takes long to import"

SOME_LOGS = ("ours, pipe", "ours, queue", "classic queue", "FileHandler per process")
OURS = ("ours, process", "ours, pool", "ours, dask")
RECYCLING = OURS[0] + item_suite.RECYCLING
CHUNKS = {"0.1 ms": (1, 32, 1000), "10 ms": (1, 4, 16), "100 ms": (1, 4)}
"""Of a sweep, such that each worker gets some of the chunks."""
LARGE = (*OURS[:2], "Pool.map", *item_contestants.sweep(1), "joblib", "mpire")
READ_AHEAD = ("Pool.map", "Pool.imap_unordered(1000)", "ProcessPoolExecutor.map(1000)")
REPLACEMENTS = 10
FIRST, FIRST_FILES = "first", 10_000
"""The folder with the first of the small files, and how many they are at most."""
FEWEST_SECONDS = 0.6
"""Of uneven items, so that there are others beside the longest."""
TWO_WORKERS = (
    "Two workers. Start is to the first result; the rate is from when both workers are up to the "
    "last result, stop from there until all workers are gone. In brackets: items in a chunk."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Numbers and lengths of the rounds."""

    rounds: int
    side_rounds: int
    """Of what is not compared with peers in a goal, or takes long."""
    long_rounds: int
    """Of what takes half a minute a round or more."""
    seconds: float
    """About how long a bout measures."""
    files: int
    generator: int
    """Items of the test of memory."""
    curve: Sequence[int]
    """Numbers of items at which the cost of one is taken."""
    waiters: int
    """Workers of the case whose items wait."""
    waits: int
    """Items of it."""
    rows: int
    """Of the journal that is exported."""


FULL = Sizes(
    rounds=5, side_rounds=3, long_rounds=2, seconds=1.0, files=100_000, generator=1_000_000,
    curve=(1_000, 100_000, 1_000_000), waiters=400, waits=48_000, rows=2_000_000,
)  # fmt: skip
QUICK = Sizes(
    rounds=1, side_rounds=1, long_rounds=1, seconds=0.3, files=5_000, generator=300_000,
    curve=(1_000, 10_000, 100_000), waiters=50, waits=1_000, rows=200_000,
)  # fmt: skip
SMALLEST = Sizes(
    rounds=1, side_rounds=1, long_rounds=1, seconds=0.05, files=40, generator=2_000,
    curve=(100, 1_000), waiters=4, waits=40, rows=1_000,
)  # fmt: skip


def cases(sizes: Sizes, template: str, files: str) -> list[Case]:
    """Return all cases; ``template`` is what to render, ``files`` a folder of files to digest."""
    of_items = (*_items(sizes), *_even(sizes), *_uneven(sizes), *_many(sizes))
    return [*_logs(sizes), *of_items, *_whole(sizes, template, files), _preload(sizes)]


def cost_title(items: int) -> str:
    """Name the case that measures what one of so many items costs."""
    return f"Whole service: cost of one of {items:,} items"


def _logs(sizes: Sizes) -> Iterator[Case]:
    everyone = log_suite.contestants()
    for title, workers, layout, names, rounds in (
        (LOG, 4, "text", everyone, sizes.rounds),
        (LOG_1, 1, "text", SOME_LOGS, sizes.side_rounds),
        (LOG_8, 8, "text", SOME_LOGS, sizes.side_rounds),
        (CALLER, 4, "caller", SOME_LOGS, sizes.side_rounds),
        (JSON, 4, "json", SOME_LOGS, sizes.side_rounds),
    ):
        yield Case(
            title, "log_suite", names, rounds, "records_per_second", "classic queue",
            {"workers": workers, "layout": layout, "seconds": sizes.seconds},
            "All workers log without a pause; the time is from the first one's start to the last "
            "line in the file. CPU is that of all processes together.",
        )  # fmt: skip


def _items(sizes: Sizes) -> Iterator[Case]:
    everyone = item_suite.contestants()
    for title, kind, names, main, baseline in (
        (TINY, "tiny", everyone, "items_per_second", "Pool.map"),
        (MILLISECOND, "1 ms", everyone, "efficiency", "Pool.imap_unordered"),
        (MEGABYTE, "1 MB", (*LARGE, OURS[2]), "mb_per_second", "Pool.imap_unordered"),
    ):
        yield Case(
            title, "item_suite", names, sizes.side_rounds, main, baseline,
            {"kind": kind, "seconds": sizes.seconds}, TWO_WORKERS,
        )  # fmt: skip
    yield Case(
        BYTES, "item_suite", LARGE, sizes.side_rounds, "mb_per_second", "Pool.map",
        {"kind": "1 MB of bytes", "seconds": sizes.seconds},
        "The same, of bytes. Ours answers in base64, because its results are JSON.",
    )  # fmt: skip
    yield Case(
        ARRAYS, "item_suite", LARGE, sizes.long_rounds, "mb_sent_per_second", "Pool.map",
        {"kind": "arrays", "seconds": sizes.seconds},
        "Each array is made as its turn comes, sent as a payload and added up; joblib sends the "
        "name of a file instead, which it maps into memory.",
    )  # fmt: skip
    yield Case(
        GENERATOR, "item_suite", (*OURS, *READ_AHEAD), 1, "memory_mb", "Pool.map",
        {"kind": "tiny", "items": sizes.generator, "memory": True},
        f"{sizes.generator:,} tiny items; how much main grew, in all, and in the second half.",
    )  # fmt: skip


def _even(sizes: Sizes) -> Iterator[Case]:
    """Items of other lengths than 1 ms, each peer with several chunk sizes."""
    for kind, chunks in CHUNKS.items():
        seconds = sizes.seconds * (2 if kind == "100 ms" else 1)
        names = (*OURS[:2], "Pool.map", *item_contestants.sweep(*chunks))
        yield Case(
            EVEN[kind], "item_suite", names, sizes.side_rounds, "efficiency",
            "Pool.imap_unordered", {"kind": kind, "seconds": seconds}, TWO_WORKERS,
        )  # fmt: skip


def _uneven(sizes: Sizes) -> Iterator[Case]:
    for title, longest_last in ((UNEVEN, False), (LONGEST_LAST, True)):
        yield Case(
            title, "uneven_suite", uneven_suite.contestants(), sizes.long_rounds,
            "seconds_to_last", IDEAL,
            {"seconds": max(3 * sizes.seconds, FEWEST_SECONDS), "longest_last": longest_last},
            "Two workers; items as long as a log-normal distribution has it, median 2 ms, the "
            "longest 0.4 s, the same ones each time. From when the first began to the last "
            "result. The ideal is two bare processes of which each has half of the work.",
        )  # fmt: skip


def _many(sizes: Sizes) -> Iterator[Case]:
    """Many workers, and workers that are replaced."""
    for method, title in WAITING.items():
        yield Case(
            title, "waiting_suite", waiting_suite.contestants(), 1, "items_per_second",
            "Pool.imap_unordered",
            {"workers": sizes.waiters, "items": sizes.waits, "start_method": method},
            f"{sizes.waiters} workers and {sizes.waits:,} items, the workers' start included; "
            "with workers that are there at once the efficiency would be 1.",
        )  # fmt: skip
    yield Case(
        CLUSTER, "cluster_suite", cluster_suite.contestants(), sizes.long_rounds,
        "items_per_second", cluster_suite.PEER, {"workers": 4, "seconds": 3 * sizes.seconds},
        "A scheduler and four workers with a thread each, all of them processes of their own that "
        "talk by TCP. In brackets: how many tasks a client sends to the scheduler at a time. One "
        "worker is killed with SIGKILL; it is replaced once a new one has done an item.",
    )  # fmt: skip
    yield Case(
        REPLACING, "item_suite", (OURS[0], RECYCLING), sizes.long_rounds, "items_per_second",
        OURS[0], {"kind": "1 ms", "seconds": 10 * sizes.seconds, "replacements": REPLACEMENTS},
        "Two workers; `--recycle-after` is such that ten of them are replaced on the way.",
    )  # fmt: skip


def _whole(sizes: Sizes, template: str, files: str) -> Iterator[Case]:
    for title, number, part in (
        (DIGEST, sizes.files, "."),
        (DIGEST_FEW, min(sizes.files, FIRST_FILES), FIRST),
    ):
        yield Case(
            title, "whole_suite", whole_suite.contestants(), sizes.side_rounds, "files_per_second",
            "plain Pool script", {"what": "digest", "files": str(Path(files, part))},
            f"{number:,} files of about 1 kB, two workers, from the command's start to its end. "
            "Ours writes a journal and a log; the script prints.",
        )  # fmt: skip
    for items in sizes.curve:
        names = (*(OURS if items == 100_000 else OURS[:2]), OURS[0] + whole_suite.KEEPING)
        yield Case(
            cost_title(items), "whole_suite", names, sizes.side_rounds, "us_per_item",
            "ours, process", {"what": "cost", "items": items},
            "Tiny items, with journal and log, from the first outcome to the last. Keeping "
            "outcomes for 1 s is `--prune-older-than 1s`; the journal's size is that at the end.",
        )  # fmt: skip
    yield Case(
        JOURNAL, "journal_suite", journal_suite.contestants(), 1, "rerun_us", OURS[0],
        {"rows": sizes.rows},
        f"{sizes.rows:,} rows; each is a command, from its start to its end. To run again is to "
        "find that nothing is left to do.",
    )  # fmt: skip
    yield Case(
        START, "whole_suite", OURS, sizes.rounds, "first_outcome_s", "ours, process",
        {"what": "start"}, "From the command's start, the interpreter's own included.",
    )  # fmt: skip
    yield Case(
        RENDERING, "whole_suite", OURS, sizes.rounds, "rendering_s", "ours, process",
        {"what": "rendering", "template": template}, "By cookiecutter's API, hooks included.",
    )  # fmt: skip


def _preload(sizes: Sizes) -> Case:
    workers, seconds = min(sizes.waiters, 100), 0.05 if sizes is SMALLEST else 1.0
    return Case(
        PRELOAD, "preload_suite", preload_suite.contestants(), 1, "ready_s",
        preload_suite.EACH, {"workers": workers, "seconds": seconds},
        f"{workers} workers, an import that takes {seconds:g} s of CPU; from the command's start "
        "until the last worker is ready.",
    )  # fmt: skip
