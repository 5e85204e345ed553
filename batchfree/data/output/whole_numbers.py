"""Whole numbers in columns of fractions: text formats show them without `.0`.

Such a column is Float64, so a 3 in it is stored as 3.0.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec
import polars as pl

from batchfree.core.chat import Json
from batchfree.data.input.shapes import EXACT

_decode_line = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def holds_fractions(dtype: pl.DataType) -> bool:
    """Whether a type is Float64, or has it inside."""
    return "Float64" in str(dtype)


def whole_numbers(value: Json) -> Json:
    """The value with every whole Float64 in it as an integer; numbers above 2^53 stay as they are."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= EXACT else value
    if isinstance(value, list):
        return [whole_numbers(each) for each in value]
    if isinstance(value, dict):
        return {key: whole_numbers(each) for key, each in value.items()}
    return value


def number_text(name: str) -> pl.Expr:
    """A column of Float64 as text; whole numbers are written without `.0`."""
    number = pl.col(name)
    is_whole = (number == number.floor()) & (number.abs() <= EXACT)
    whole = number.cast(pl.Int64(), strict=False).cast(pl.String())
    return pl.when(is_whole).then(whole).otherwise(number.cast(pl.String())).alias(name)


def json_lines(table: pl.LazyFrame, columns: Collection[str]) -> Iterator[bytes]:
    """The rows as lines of JSON. In these columns whole numbers have no `.0`; others are as Polars writes them."""
    for batch in table.collect_batches(maintain_order=True):
        for line in batch.write_ndjson().encode().splitlines():
            row = _decode_line(line)
            for name in columns:
                row[name] = msgspec.Raw(_encode(whole_numbers(msgspec.json.decode(row[name]))))
            yield _encode(row) + b"\n"
