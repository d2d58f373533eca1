"""The report: goals, tables, machine, in Markdown."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from .cases import Sizes
from .goals import goals
from .harness import Outcome
from .results import Results, is_ours

FIGURES = {
    "records_per_second": ("records/s", "{:,.0f}"),
    "p50_us": ("call p50, µs", "{:,.1f}"),
    "p99_us": ("call p99, µs", "{:,.0f}"),
    "cpu_us": ("CPU µs/record", "{:,.1f}"),
    "listener_share": ("of it listener", "{:.1%}"),
    "listener_mb": ("listener grew, MB", "{:.1f}"),
    "items_per_second": ("items/s", "{:,.0f}"),
    "efficiency": ("efficiency", "{:.3f}"),
    "mb_per_second": ("MB/s, both ways", "{:,.0f}"),
    "mb_sent_per_second": ("MB/s", "{:,.0f}"),
    "files_per_second": ("files/s", "{:,.0f}"),
    "seconds": ("s", "{:.1f}"),
    "seconds_to_last": ("s to the last result", "{:.2f}"),
    "main_us": ("main's CPU µs/item", "{:.1f}"),
    "replaced_s": ("killed worker replaced, s", "{:.2f}"),
    "replaced": ("workers replaced", "{:.0f}"),
    "rerun_us": ("run again, µs/row", "{:.2f}"),
    "jsonl_us": ("JSON lines, µs/row", "{:.2f}"),
    "csv_us": ("CSV, µs/row", "{:.2f}"),
    "us_per_item": ("µs/item", "{:.2f}"),
    "start_s": ("start, s", "{:.3f}"),
    "stop_s": ("stop, s", "{:.3f}"),
    "help_s": ("--help, s", "{:.3f}"),
    "first_outcome_s": ("first outcome, s", "{:.3f}"),
    "rendering_s": ("rendering, s", "{:.3f}"),
    "ready_s": ("all workers ready, s", "{:.2f}"),
    "memory_mb": ("main grew, MB", "{:.1f}"),
    "journal_mb": ("journal, MB", "{:.1f}"),
    "late_mb": ("in the second half, MB", "{:.1f}"),
}
"""Figure to its heading and format, in the order of the columns."""


def report(outcomes: Sequence[Outcome], sizes: Sizes, facts: Iterable[str]) -> str:
    """Return all that was measured as Markdown."""
    results = Results(outcomes)
    lines = ["# Side by side", "", *_lead(outcomes, facts), "", "## Goals", ""]
    head = ["goal", "wanted", "measured", ""]
    reached = goals(results, sizes)
    lines += table(head, [goal.row() for goal in reached])
    for goal in reached:
        if goal.missed and goal.reason:
            lines += ["", f"{goal.text}: {goal.reason}"]
    for outcome in outcomes:
        lines += ["", f"## {outcome.case.title}", "", outcome.case.about, ""]
        lines += table(*_comparison(results, outcome))
        lines += _failures(outcome)
    return "\n".join(lines) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a table's lines; all columns but the first are numbers."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]


def _lead(outcomes: Sequence[Outcome], facts: Iterable[str]) -> Iterator[str]:
    yield (
        "Made by `make bench` from the rendered service's own modules and its peers, in one run: "
        "each contestant in a process of its own, rounds in turns (A B C, A B C), medians. "
        "x is the median of the rounds' ratios. Compare ratios, not machines. The "
        "number in brackets behind a peer's name is its chunk size: how many items it is told to "
        "send to a worker at a time."
    )
    yield ""
    yield from (f"- {fact}" for fact in facts)
    loads = [load for outcome in outcomes for load in outcome.loads]
    if loads:
        yield (
            f"- Before each of {len(loads)} rounds others took "
            f"{median(load.busy for load in loads):.0%} of the cores (at most "
            f"{max(load.busy for load in loads):.0%}), the hypervisor "
            f"{median(load.stolen for load in loads):.0%} "
            f"(at most {max(load.stolen for load in loads):.0%}); "
            f"load average {median(load.average for load in loads):.1f}"
        )


def _comparison(results: Results, outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    case = outcome.case
    present = {
        figure for bouts in outcome.bouts.values() for bout in bouts for figure in bout or ()
    }
    figures = [figure for figure in FIGURES if figure in present and figure != case.main]
    head = ["", FIGURES[case.main][0], "lowest to highest", f"x {case.baseline}"]
    rows = [
        [
            f"**{name}**" if is_ours(name) else name,
            _cell(results.values(case.title, name, case.main), case.main),
            _spread(results.values(case.title, name, case.main), case.main),
            _times(results.ratio(case.title, name, case.baseline, case.main)),
            *(_cell(results.values(case.title, name, figure), figure) for figure in figures),
        ]
        for name in case.contestants
    ]
    return head + [FIGURES[figure][0] for figure in figures], rows


def _cell(values: list[float], figure: str) -> str:
    return FIGURES[figure][1].format(median(values)) if values else ""


def _spread(values: list[float], figure: str) -> str:
    shown = FIGURES[figure][1]
    return f"{shown.format(min(values))} to {shown.format(max(values))}" if values else "failed"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.3g}"


def _failures(outcome: Outcome) -> Iterator[str]:
    for name, why in outcome.failures.items():
        failed = outcome.bouts[name].count(None)
        yield f"\n{name} failed in {failed} of {outcome.case.rounds} rounds: {why}"
