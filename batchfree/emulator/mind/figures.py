"""The figure that stands out from the even background of a drawn picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

MOST = 40_000
"""Pixels of a picture that is looked at."""
BARS = 3
"""Pieces in one row, from which on they are bars."""


def figure(data: Sequence[int], width: int, step: int) -> str | None:
    """Its name, by how much of its box it fills and in how many pieces, or None. `step`: bytes of a pixel."""
    if len(data) > MOST * step or not data:
        return None
    background = data[:step]
    pixels = [data[place : place + step] != background for place in range(0, len(data), step)]
    rows = [pixels[place : place + width] for place in range(0, len(pixels), width)]
    marked = [row for row in rows if any(row)]
    columns = [place for place in range(width) if any(row[place] for row in marked)]
    if not columns or any(corner for row in (rows[0], rows[-1]) for corner in (row[0], row[-1])):
        return None
    wide, high = columns[-1] - columns[0] + 1, len(marked)
    share = sum(map(sum, marked)) / (wide * high)
    pieces = max(sum(is_marked for is_marked, _ in groupby(row)) for row in marked)
    return _name(share, pieces, is_even=abs(wide - high) <= 0.1 * max(wide, high))


def _name(share: float, pieces: int, *, is_even: bool) -> str | None:
    if pieces >= BARS:
        return "bar chart"
    if pieces == 1 and share > 0.95:
        return "square" if is_even else "rectangle"
    if pieces == 1 and 0.74 < share < 0.83:
        return "circle" if is_even else "ellipse"
    if pieces == 1 and 0.45 < share < 0.56:
        return "triangle"
    return "star" if pieces == 2 and 0.25 < share < 0.45 else None
