"""Values of rows for the output table, given row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from batchfree.data.output import DescribedRows


def row_by_row(
    describe: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> Callable[[Sequence[Mapping[str, Any]], int], DescribedRows]:
    """The function that `table` needs, from a function that gives the values of one row by column name."""

    def describe_batch(rows: Sequence[Mapping[str, Any]], first: int) -> DescribedRows:
        values = [describe(row) for row in rows]
        names = {name for each in values for name in each}
        return DescribedRows(columns={name: [each.get(name) for each in values] for name in names})

    return describe_batch
