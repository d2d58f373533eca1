"""The timeline as a page for any browser, of three megabytes at most."""

import json
from importlib import resources
from typing import Any, TextIO

from ..items.events import KILLED
from ..items.messages import DONE, FAILED
from .timeline import Cell, Grid, Timeline

DATA = "TIMELINE_DATA"
"""Stands in ``timeline.html`` where the data belong."""
KEYS_CHARACTERS, ERRORS_CHARACTERS = 600_000, 400_000
"""Length of all keys and all errors in the page; bars beyond that are shown without theirs."""


class Texts:
    """Limits the total length of texts."""

    def __init__(self, left: int) -> None:
        """Allow ``left`` characters."""
        self.left = left

    def take(self, text: str) -> str | None:
        """Return a text, or None if it exceeds the rest of the limit."""
        size = len(_encoded(text))
        if size > self.left:
            return None
        self.left -= size
        return text


def write(timeline: Timeline, file: TextIO, *, title: str) -> None:
    """Write a page that shows the timeline without a network."""
    page = resources.files(__package__).joinpath("timeline.html").read_text(encoding="utf-8")
    file.write(page.replace(DATA, _encoded(_data(timeline, title))))


def _encoded(data: object) -> str:
    """Return JSON in which no name can end the script element that it is in, nor begin a comment.

    https://html.spec.whatwg.org/multipage/scripting.html#restrictions-for-contents-of-script-elements
    """
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _data(timeline: Timeline, title: str) -> dict[str, Any]:
    extent, begin = timeline.extent, timeline.extent.begin
    keys, errors = Texts(KEYS_CHARACTERS), Texts(ERRORS_CHARACTERS)
    return {
        "title": title,
        "begin": begin,
        "view": round(extent.runs[-1][0] - begin, 6),
        "end": round(extent.end - begin, 6),
        "count": timeline.count,
        "failed": extent.counts[FAILED],
        "killed": extent.counts[KILLED],
        "workers": len(extent.workers),
        "lanes": timeline.lanes,
        **_items(timeline, keys, errors),
        "grids": [_grid(grid, begin, keys) for grid in timeline.grids if grid.cells],
        "marks": [
            {
                "lane": lane,
                "time": round(mark.at - begin, 3),
                "kind": mark.kind,
                "text": errors.take(mark.detail) or f"pid {mark.pid}",
            }
            for lane, mark in timeline.marks
        ],
        "unmarked": timeline.all_marks - len(timeline.marks),
    }


def _items(timeline: Timeline, keys: Texts, errors: Texts) -> dict[str, Any]:
    """Return the items by column: that is half the size of one object for each."""
    items, begin = timeline.items, timeline.extent.begin
    odd = {at: item for at, (_, item) in enumerate(items) if item.error is not None}
    return {
        "key": [keys.take(item.key) for _, item in items],
        "lane": [lane for lane, _ in items],
        "start": [round(item.started - begin, 6) for _, item in items],
        "seconds": [round(item.seconds, 6) for _, item in items],
        "again": {at: item.attempts for at, (_, item) in enumerate(items) if item.attempts > 1},
        "status": {at: item.status for at, (_, item) in enumerate(items) if item.status != DONE},
        "errors": {at: errors.take(str(item.error)) for at, item in odd.items()},
    }


def _grid(grid: Grid, begin: float, keys: Texts) -> dict[str, Any]:
    return {
        "begin": round(grid.begin - begin, 6),
        "width": grid.width,
        "columns": grid.columns,
        "cells": {
            kind: _cells(cells, grid.width) | {"key": _examples(kind, cells, keys)}
            for kind, cells in grid.cells.items()
        },
    }


def _examples(kind: str, cells: dict[int, Cell], keys: Texts) -> list[str | None]:
    """Return a key of each cell of failed items or killed attempts; none for done ones."""
    return [] if kind == DONE else [keys.take(cells[at].key) for at in sorted(cells)]


def _cells(cells: dict[int, Cell], width: float) -> dict[str, list[Any]]:
    """Return cells by column; where each is, counted from the one before; shares in thousandths."""
    places = sorted(cells)
    return {
        "step": [at - before for before, at in zip([0, *places], places, strict=False)],
        "items": [cells[at].items for at in places],
        "share": [round(cells[at].seconds / width * 1000) for at in places],
    }
