"""Bar charts as SVG, readable on a light and on a dark page."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .results import Results, is_ours

LEFT, WIDTH, RIGHT = 230, 420, 110
BAR, GAP, TOP = 18, 8, 44
STYLE = """\
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .ours { fill: #1a7f37 } .peer { fill: #8c959f }
  .goal { stroke: #cf222e; stroke-width: 2; stroke-dasharray: 5 3 } .wanted { fill: #cf222e }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .ours { fill: #3fb950 } .peer { fill: #6e7681 }
    .goal { stroke: #ff7b72 } .wanted { fill: #ff7b72 }
  }"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A chart of one figure of a case."""

    title: str
    """Of the case."""
    figure: str
    caption: str
    note: str = ""
    """Explains the names."""
    lowest_first: bool = False
    """Whether the least is the best."""
    wanted: float = 0.0
    """The goal, as a multiple of ``other``'s figure; 0 where there is none to be shown."""
    other: str = ""


def picture(results: Results, shown: Picture) -> str:
    """Return a chart of a case's medians of one figure, the best first; see ``bars``."""
    outcome, sign = results.by_title[shown.title], 1 if shown.lowest_first else -1
    medians = {name: results.median(shown.title, name, shown.figure) for name in outcome.bouts}
    known = {name: value for name, value in medians.items() if value is not None}
    goal = None
    if shown.other in known:
        text = f"goal: {'≤' if shown.lowest_first else '≥'} {shown.wanted:g} x {shown.other}"
        goal = text, shown.wanted * known[shown.other]
    values = sorted(known.items(), key=lambda pair: sign * pair[1])
    return bars(shown.caption, values, shown.note, goal)


def bars(
    caption: str,
    values: Sequence[tuple[str, float]],
    note: str = "",
    goal: tuple[str, float] | None = None,
) -> str:
    """Return a bar chart; a goal is a line across it, a note below it explains the names."""
    foot = TOP + len(values) * (BAR + GAP) + GAP
    height = foot + (BAR + GAP) * (bool(goal) + bool(note))
    width = LEFT + WIDTH + RIGHT
    highest = max([value for _, value in values] + [goal[1] if goal else 0]) or 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        f' width="{width}" height="{height}" role="img" aria-label="{escape(caption)}">',
        f"<style>\n{STYLE}\n</style>",
        f'<text class="title" x="12" y="26">{escape(caption)}</text>',
    ]
    for row, (name, value) in enumerate(values):
        y = TOP + row * (BAR + GAP)
        length = WIDTH * value / highest
        kind = "ours" if is_ours(name) else "peer"
        parts += [
            f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind}" x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 14}">{_number(value)}</text>',
        ]
    if goal:
        text, x = escape(goal[0]), LEFT + WIDTH * goal[1] / highest
        parts += [
            f'<line class="goal" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{foot}"/>',
            f'<text class="wanted" x="{x:.1f}" y="{foot + 14}" text-anchor="middle">{text}</text>',
        ]
        foot += BAR + GAP
    if note:
        parts.append(f'<text class="note" x="12" y="{foot + 14}">{escape(note)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
