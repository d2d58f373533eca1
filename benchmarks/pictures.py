"""Bar charts as SVG, readable on a light and on a dark page."""

from collections.abc import Sequence
from html import escape

from .results import Results, is_ours

LEFT, WIDTH, RIGHT = 230, 420, 110
BAR, GAP, TOP = 18, 8, 44
STYLE = """\
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .ours { fill: #1a7f37 } .peer { fill: #8c959f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .ours { fill: #3fb950 } .peer { fill: #6e7681 }
  }"""


def picture(results: Results, title: str, figure: str, caption: str, note: str = "") -> str:
    """Return a chart of a case's medians of one figure, the highest first; see ``bars``."""
    outcome = results.by_title[title]
    medians = {name: results.median(title, name, figure) for name in outcome.bouts}
    known = {name: value for name, value in medians.items() if value is not None}
    return bars(caption, sorted(known.items(), key=lambda pair: -pair[1]), note)


def bars(caption: str, values: Sequence[tuple[str, float]], note: str = "") -> str:
    """Return a bar chart; a note below it explains the names."""
    foot = TOP + len(values) * (BAR + GAP) + GAP
    height = foot + (BAR + GAP if note else 0)
    width = LEFT + WIDTH + RIGHT
    highest = max((value for _, value in values), default=0) or 1
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
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 14}">{value:,.0f}</text>',
        ]
    if note:
        parts.append(f'<text class="note" x="12" y="{foot + 14}">{escape(note)}</text>')
    return "\n".join([*parts, "</svg>\n"])
