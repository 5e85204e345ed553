"""The output table as a lazy frame: every row of the input, with what the journal knows of its question."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl
from polars.io.plugins import register_io_source

from batchfree.data.output.columns import Column, check_names, own_columns

if TYPE_CHECKING:
    from batchfree.data.input import Dataset
    from batchfree.jobspec import JobSpec

BATCH = 2_000
"""Rows that are described at a time."""

Describe: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""A row of the input → batchfree's columns by their names without prefix; what is left out is null."""


def table(dataset: Dataset, spec: JobSpec, describe: Describe, uses: Collection[str] | None = None) -> pl.LazyFrame:
    """The input's columns, then batchfree's; read in batches. Raises SpecError where names collide, DatasetError.

    `uses` names the input's columns that `describe` looks at, where these are few: it is shown no others.
    """
    own = own_columns(spec)
    schema = dataset.schema
    check_names(spec, schema)

    def source(
        names: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        left = limit
        wanted = {*(schema if names is None else names), *([] if predicate is None else predicate.meta.root_names())}
        is_described = names is None or any(column.name in wanted for column in own)
        needed = {name for name in schema if name in wanted or (is_described and (uses is None or name in uses))}
        for batch in dataset.batches(BATCH, needed):
            part = batch if left is None else batch.head(left)
            left = None if left is None else left - part.height
            if is_described:
                part = described(part, own, describe, uses)
            part = part if predicate is None else part.filter(predicate)
            yield part if names is None else part.select(names)
            if left == 0:
                return

    return register_io_source(source, schema={**schema, **{column.name: column.dtype for column in own}})


def described(batch: pl.DataFrame, own: list[Column], describe: Describe, uses: Collection[str] | None) -> pl.DataFrame:
    """Some rows of the input with batchfree's columns beside them."""
    shown = batch if uses is None else batch.select(name for name in batch.columns if name in uses)
    seen = shown.iter_rows(named=True) if shown.width else ({} for _ in range(batch.height))
    rows = [describe(row) for row in seen]
    return batch.with_columns(column.series(rows) for column in own)
