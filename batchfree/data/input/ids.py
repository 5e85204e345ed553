"""Checks the column that names rows: no name is null, and every name is unique."""

from __future__ import annotations

import polars as pl

from batchfree.core.errors import Mistake
from batchfree.data.input.survey import Findings, Places
from batchfree.data.openai_batch import row_name

ROW = "row"
NAME = "name"


def check_ids(rows: pl.LazyFrame, column: str, places: Places, findings: Findings) -> None:
    """Finds nulls and repeated names. `rows` has two columns: `row`, counted from zero in the whole input, and `name`.

    Eight bytes per row are kept. Names are compared by their hashes, and in full only if two hashes are equal.
    """
    hashes = []
    for batch in rows.collect_batches():
        for row in batch.filter(pl.col(NAME).is_null()).get_column(ROW):
            findings.add(places.mistake(row, "the id is null", column))
        hashes.append(batch.select(pl.col(NAME).drop_nulls().hash()).to_series())
    sorted_hashes = pl.concat(hashes).sort() if hashes else pl.Series(dtype=pl.UInt64)
    repeated = sorted_hashes.filter(sorted_hashes == sorted_hashes.shift(1)).unique()
    if len(repeated):
        _find_repeated(rows.filter(pl.col(NAME).hash().is_in(repeated.implode())), column, places, findings)


def _find_repeated(rows: pl.LazyFrame, column: str, places: Places, findings: Findings) -> None:
    first: dict[object, int] = {}
    for batch in rows.filter(pl.col(NAME).is_not_null()).collect_batches():
        for row, name in batch.select(ROW, NAME).iter_rows():
            before = first.setdefault(name, row)
            if before != row:
                other = places.mistake(before, "")
                where = f"line {other.line}" if other.line else other.message.rstrip(": ")
                seen = f"{where} of {other.file}" if other.file else where
                findings.add(places.mistake(row, f"the id {_shown(name)} was seen before, in {seen}", column))


def _shown(name: object) -> str:
    return repr(name) if isinstance(name, str) else row_name(name)


def mistake_of_type(column: str, dtype: pl.DataType) -> Mistake | None:
    """The mistake if a column of this type can't name rows; None if it can."""
    if dtype.is_nested() or isinstance(dtype, pl.Binary | pl.Object):
        return Mistake(message=f"`{column}` can't name rows: it is a column of type {dtype}", key="input.id")
    return None
