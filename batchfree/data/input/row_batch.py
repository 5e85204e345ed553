"""Some rows, both as a part of the table and as the values that templates see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import polars as pl

from batchfree.core.chat import JsonObject
from batchfree.data.input import jsonl


@dataclass(frozen=True, slots=True, kw_only=True)
class RowBatch:
    """Some rows: as a part of the table, and as values."""

    frame: pl.DataFrame
    lines: pl.Series | None = None
    """The rows as JSON, if the input is JSON Lines."""

    def rows(self, columns: Collection[str] | None = None) -> list[JsonObject]:
        """Each row's own values in these columns; None stands for all columns."""
        if self.lines is not None:
            read = jsonl.read_row if columns is None else jsonl.row_reader(frozenset(columns))
            return [read(line) for line in self.lines]
        frame = (
            self.frame if columns is None else self.frame.select(each for each in self.frame.columns if each in columns)
        )
        return python_rows(frame) if frame.width else [{} for _ in range(self.frame.height)]


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


def unused_name(schema: pl.Schema) -> str:
    """A name that no column has."""
    name = "#"
    while name in schema:
        name += "#"
    return name
