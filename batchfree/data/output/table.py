"""The output table as a lazy frame: every row of the input, with what the journal knows of its question."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, TypeAlias

import polars as pl
from polars.io.plugins import register_io_source

from batchfree.core.chat import JsonObject
from batchfree.data.output.columns import JobColumn, check_names, job_columns
from batchfree.data.output.question_values import Columns
from batchfree.data.output.write import rows_per_group

if TYPE_CHECKING:
    from batchfree.data.input import Dataset
    from batchfree.data.input.row_batch import RowBatch
    from batchfree.jobspec import JobSpec

MOST_BATCH_ROWS = 2_000
"""Most rows that are described at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribedRows:
    """The values of a batch of rows in batchfree's columns, whose names are without prefix.

    `here` says of each row whether it is in the part of the job that is described; None stands for all rows. `columns`
    has the values of the rows that are.
    """

    columns: Columns
    here: Sequence[bool] | None = None


Describe: TypeAlias = Callable[[Sequence[JsonObject], int], DescribedRows]
"""A batch of rows, and the number of its first row in the input (from zero) → their values."""


def table(
    dataset: Dataset,
    spec: JobSpec,
    describe: Describe,
    uses: Collection[str] | None = None,
    *,
    row_bytes: float = 0.0,
) -> pl.LazyFrame:
    """The input's columns, then batchfree's; read in batches. Raises DatasetError, and SpecError if names collide.

    Polars asks for columns, condition and limit in one call, and each of them saves work. `uses` names the input
    columns that `describe` needs and gets; None stands for all. `row_bytes` is about the size of what it reads for a
    row. Batches of long answers have fewer rows.
    """
    batch_rows = min(MOST_BATCH_ROWS, rows_per_group(row_bytes))
    own = job_columns(spec)
    schema, in_parts = dataset.schema, spec.output.folder is not None
    check_names(spec, schema)

    def source(
        names: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = {*(schema if names is None else names), *([] if predicate is None else predicate.meta.root_names())}
        if names is None or in_parts or any(column.name in wanted for column in own):
            needed = {name for name in schema if name in wanted or uses is None or name in uses}
            read = dataset.row_batches(batch_rows, needed)
            parts = _described(read, own, describe, uses, None if in_parts else limit)
        else:
            parts = dataset.batches(batch_rows, wanted)
        left = limit
        for batch in parts:
            part = batch if left is None else batch.head(left)
            left = None if left is None else left - part.height
            part = part if predicate is None else part.filter(predicate)
            yield part if names is None else part.select(names)
            if left == 0:
                return

    return register_io_source(source, schema={**schema, **{column.name: column.dtype for column in own}})


def _described(
    batches: Iterator[RowBatch],
    own: Sequence[JobColumn],
    describe: Describe,
    uses: Collection[str] | None,
    limit: int | None,
) -> Iterator[pl.DataFrame]:
    """The batches with batchfree's columns added, without the rows of other parts. Reads at most `limit` rows."""
    read = 0
    for batch in batches:
        rows = batch.rows(uses)[: None if limit is None else limit - read]
        described = describe(rows, read)
        frame = batch.frame.head(len(rows)) if batch.frame.width else batch.frame
        numbers: Sequence[int] = range(read, read + len(rows))
        if described.here is not None:
            numbers = list(compress(numbers, described.here))
            frame = frame.filter(pl.Series(described.here, dtype=pl.Boolean)) if frame.width else frame
        values, missing = {**described.columns, "row": numbers}, [None] * len(numbers)
        yield frame.hstack([column.series(values.get(column.column.name, missing)) for column in own])
        read += len(rows)
