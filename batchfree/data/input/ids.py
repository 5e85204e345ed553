"""The column that names rows: not null, and every name once."""

from __future__ import annotations

import polars as pl

from batchfree.core.errors import Mistake
from batchfree.data.input.survey import Findings, Places

ROW = "row"
NAME = "name"


def check(rows: pl.LazyFrame, column: str, places: Places, findings: Findings) -> None:
    """Finds nulls and repeated names. `rows` has the number of each row in the whole input (`row`) and its `name`.

    Eight bytes a row are kept: names are compared by their hashes first, and in full only where hashes are equal.
    """
    hashes = []
    for batch in rows.collect_batches():
        for row in batch.filter(pl.col(NAME).is_null()).get_column(ROW):
            findings.add(places.mistake(row, "the id is null", column))
        hashes.append(batch.select(pl.col(NAME).drop_nulls().hash()).to_series())
    every = pl.concat(hashes).sort() if hashes else pl.Series(dtype=pl.UInt64)
    again = every.filter(every == every.shift(1)).unique()
    if len(again):
        _repeated(rows.filter(pl.col(NAME).hash().is_in(again.implode())), column, places, findings)


def _repeated(rows: pl.LazyFrame, column: str, places: Places, findings: Findings) -> None:
    first: dict[object, int] = {}
    for batch in rows.filter(pl.col(NAME).is_not_null()).collect_batches():
        for row, name in batch.select(ROW, NAME).iter_rows():
            before = first.setdefault(name, row)
            if before != row:
                other = places.mistake(before, "")
                where = f"line {other.line}" if other.line else other.message.rstrip(": ")
                seen = f"{where} of {other.file}" if other.file else where
                findings.add(places.mistake(row, f"the id {name!r} was seen before, in {seen}", column))


def mistake_of_type(column: str, dtype: pl.DataType) -> Mistake | None:
    """Why a column of this type can't name rows."""
    if dtype.is_nested() or isinstance(dtype, pl.Binary | pl.Object):
        return Mistake(message=f"`{column}` can't name rows: it is a column of type {dtype}", key="input.id")
    return None
