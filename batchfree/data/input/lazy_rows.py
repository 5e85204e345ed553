"""Batches of rows as a lazy frame of Polars."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import polars as pl
from polars.io.plugins import register_io_source


def lazy_rows(
    read: Callable[[Collection[str]], Iterator[pl.DataFrame]], schema: Mapping[str, pl.DataType]
) -> pl.LazyFrame:
    """The rows of the batches that `read` yields. Polars tells it which columns it needs; it may yield others too."""

    def source(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        left = limit
        needed = set(schema if columns is None else columns)
        needed.update([] if predicate is None else predicate.meta.root_names())
        for batch in read(needed):
            part = batch if left is None else batch.head(left)
            left = None if left is None else left - part.height
            part = part if predicate is None else part.filter(predicate)
            yield part if columns is None else part.select(columns)
            if left == 0:
                return

    return register_io_source(source, schema=schema)
