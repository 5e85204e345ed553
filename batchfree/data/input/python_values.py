"""The values of a row as Python values, which templates see."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import polars as pl

from batchfree.core.chat import JsonObject


def only(row: JsonObject, columns: Collection[str] | None) -> JsonObject:
    """The row without other columns than these."""
    return row if columns is None else {name: value for name, value in row.items() if name in columns}


def python_rows(frame: pl.DataFrame) -> list[JsonObject]:
    """The rows of a frame. A date or time outside the years 1 to 9999, which Python can't hold, is text."""
    try:
        return frame.rows(named=True)
    except (ValueError, OverflowError):
        columns = {series.name: [_value(series, row) for row in range(frame.height)] for series in frame}
        return [{name: values[row] for name, values in columns.items()} for row in range(frame.height)]


def _value(series: pl.Series, row: int) -> Any:
    try:
        return series[row]
    except (ValueError, OverflowError):
        return series.slice(row, 1).cast(pl.String()).item()
