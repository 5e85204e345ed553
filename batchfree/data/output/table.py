"""The output table as a lazy frame: every row of the input, with what the journal knows of its question."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import polars as pl
from polars.io.plugins import register_io_source

from batchfree.data.input.row_batch import RowBatch
from batchfree.data.output.columns import JobColumn, check_names, job_columns

if TYPE_CHECKING:
    from batchfree.data.input import Dataset
    from batchfree.jobspec import JobSpec

BATCH_ROWS = 2_000

Describe: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""A row of the input → its values by column name without prefix; None for a row of another part of the job.

A column that is left out has its default."""


def table(
    dataset: Dataset,
    spec: JobSpec,
    describe: Describe,
    uses: Collection[str] | None = None,
    is_elsewhere: Callable[[int], bool] = lambda row: False,
) -> pl.LazyFrame:
    """The input's columns, then batchfree's; read in batches. Raises DatasetError, and SpecError if names collide.

    Long, because Polars asks for columns, condition and limit in one call, and each of them saves work.

    `uses` names the input columns that `describe` needs; None stands for all. `describe` gets only these columns, and
    no row for which `is_elsewhere` says, by its number from zero, that it is in another part.
    """
    own = job_columns(spec)
    schema, in_parts = dataset.schema, spec.output.folder is not None
    check_names(spec, schema)

    def source(
        names: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        left = limit
        wanted = {*(schema if names is None else names), *([] if predicate is None else predicate.meta.root_names())}
        needs_own = names is None or in_parts or any(column.name in wanted for column in own)
        needed = {name for name in schema if name in wanted or (needs_own and (uses is None or name in uses))}
        batches: Iterator[RowBatch] = (
            dataset.row_batches(BATCH_ROWS, needed)
            if needs_own
            else (RowBatch(frame=frame) for frame in dataset.batches(BATCH_ROWS, needed))
        )
        read = 0
        for batch in batches:
            part = batch.frame
            if needs_own:
                here = enumerate(batch.rows(uses)[: None if in_parts else left], read)
                rows = [None if is_elsewhere(number) else describe(row) for number, row in here]
                part = _with_own_columns(batch.frame, own, _numbered(rows, read) if in_parts else rows)
                read += len(rows)
            part = part if left is None else part.head(left)
            left = None if left is None else left - part.height
            part = part if predicate is None else part.filter(predicate)
            yield part if names is None else part.select(names)
            if left == 0:
                return

    return register_io_source(source, schema={**schema, **{column.name: column.dtype for column in own}})


def _with_own_columns(
    frame: pl.DataFrame, own: Sequence[JobColumn], rows: Sequence[Mapping[str, Any] | None]
) -> pl.DataFrame:
    """The first rows of a batch with batchfree's columns added. Rows of other parts are left out."""
    described = [row for row in rows if row is not None]
    added = pl.DataFrame([column.series(described) for column in own])
    if not frame.width:
        return added
    frame = frame.head(len(rows))
    if len(described) < len(rows):
        frame = frame.filter(pl.Series([row is not None for row in rows], dtype=pl.Boolean))
    return frame.hstack(added)


def _numbered(rows: Sequence[Mapping[str, Any] | None], first: int) -> list[Mapping[str, Any] | None]:
    """The rows with their numbers in the input; `first` is the number of the first row."""
    return [None if row is None else {**row, "row": number} for number, row in enumerate(rows, first)]
