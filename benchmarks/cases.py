"""What is measured: the cases, and how large they are in a full run, a quick one, and a test."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import item_suite, log_suite, whole_suite
from .harness import Case

LOG = "Log: 4 workers, text"
LOG_1 = "Log: 1 worker, text"
LOG_8 = "Log: 8 workers, text"
CALLER = "Log: 4 workers, text with the caller's file and line"
JSON = "Log: 4 workers, JSON"
TINY = "Items: tiny"
MILLISECOND = "Items: 1 ms of computation each"
MEGABYTE = "Items: 1 MB there and back"
GENERATOR = "Items: memory on a generator"
DIGEST = "Whole service: small files digested"
START = "Whole service: start"
RENDERING = "Whole service: rendering a project"

SOME_LOGS = ("ours, pipe", "ours, queue", "classic queue", "FileHandler per process")
OURS = ("ours, process", "ours, pool", "ours, dask")
READ_AHEAD = ("Pool.map", "Pool.imap_unordered(1000)", "ProcessPoolExecutor.map(1000)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    rounds: int
    side_rounds: int
    """Of what is not compared with peers in a goal, or takes long."""
    seconds: float
    """About how long a bout measures."""
    files: int
    generator: int
    """Items of the test of memory."""
    curve: Sequence[int]
    """Numbers of items at which the cost of one is taken."""


FULL = Sizes(
    rounds=5, side_rounds=3, seconds=1.0, files=100_000, generator=1_000_000,
    curve=(1_000, 10_000, 100_000, 1_000_000),
)  # fmt: skip
QUICK = Sizes(
    rounds=1, side_rounds=1, seconds=0.3, files=5_000, generator=1_000_000,
    curve=(1_000, 10_000, 100_000),
)  # fmt: skip
SMALLEST = Sizes(
    rounds=1, side_rounds=1, seconds=0.05, files=40, generator=2_000, curve=(100, 1_000)
)


def cases(sizes: Sizes, template: str, files: str) -> list[Case]:
    """Return all cases; ``template`` is what to render, ``files`` a folder of files to digest."""
    return [*_logs(sizes), *_items(sizes), *_whole(sizes, template, files)]


def cost_title(items: int) -> str:
    """Name the case that measures what one of so many items costs."""
    return f"Whole service: cost of one of {items:,} items"


def _logs(sizes: Sizes) -> Iterator[Case]:
    everyone = log_suite.contestants()
    for title, workers, layout, names, rounds in (
        (LOG, 4, "text", everyone, sizes.rounds),
        (LOG_1, 1, "text", everyone, sizes.side_rounds),
        (LOG_8, 8, "text", everyone, sizes.side_rounds),
        (CALLER, 4, "caller", SOME_LOGS, sizes.rounds),
        (JSON, 4, "json", SOME_LOGS, sizes.rounds),
    ):
        yield Case(
            title, "log_suite", names, rounds, "records_per_second", "classic queue",
            {"workers": workers, "layout": layout, "seconds": sizes.seconds},
            "All workers log without a pause; the time is from the first one's start to the last "
            "line in the file. CPU is that of all processes together.",
        )  # fmt: skip


def _items(sizes: Sizes) -> Iterator[Case]:
    for title, kind, rounds, main, baseline in (
        (TINY, "tiny", sizes.rounds, "items_per_second", "Pool.map"),
        (MILLISECOND, "1 ms", sizes.rounds, "efficiency", "Pool.imap_unordered"),
        (MEGABYTE, "1 MB", sizes.side_rounds, "mb_per_second", "Pool.imap_unordered"),
    ):
        yield Case(
            title, "item_suite", item_suite.contestants(), rounds, main, baseline,
            {"kind": kind, "seconds": sizes.seconds},
            "Two workers. Start is to the first result; the rate is from when both workers are "
            "up to the last result, stop from there until all workers are gone. In brackets: items "
            "in a chunk.",
        )  # fmt: skip
    yield Case(
        GENERATOR, "item_suite", (*OURS, *READ_AHEAD), sizes.side_rounds, "memory_mb", "Pool.map",
        {"kind": "tiny", "items": sizes.generator, "memory": True},
        f"{sizes.generator:,} tiny items; how much main grew, in all, and in the second half.",
    )  # fmt: skip


def _whole(sizes: Sizes, template: str, files: str) -> Iterator[Case]:
    yield Case(
        DIGEST, "whole_suite", whole_suite.contestants(), sizes.side_rounds, "files_per_second",
        "plain Pool script", {"what": "digest", "files": files},
        f"{sizes.files:,} files of about 1 kB, two workers, from the command's start to its end. "
        "Ours writes a journal and a log; the script prints.",
    )  # fmt: skip
    for items in sizes.curve:
        names = (*(OURS[:2] if items > 100_000 else OURS), OURS[0] + whole_suite.KEEPING)
        yield Case(
            cost_title(items), "whole_suite", names, sizes.side_rounds, "us_per_item",
            "ours, process", {"what": "cost", "items": items},
            "Tiny items, with journal and log, from the first outcome to the last. Keeping "
            "outcomes for 1 s is `--prune-older-than 1s`; the journal's size is that at the end.",
        )  # fmt: skip
    yield Case(
        START, "whole_suite", OURS, sizes.rounds, "first_outcome_s", "ours, process",
        {"what": "start"}, "From the command's start, the interpreter's own included.",
    )  # fmt: skip
    yield Case(
        RENDERING, "whole_suite", OURS, sizes.rounds, "rendering_s", "ours, process",
        {"what": "rendering", "template": template}, "By cookiecutter's API, hooks included.",
    )  # fmt: skip
