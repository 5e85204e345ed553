"""Columns of Arrow and Parquet files that Polars can't read: their names and types, from the files' own Arrow schema.

Polars can't read a schema with such a type, and does not name the column. The numbers come from Arrow's Schema.fbs:
https://github.com/apache/arrow/blob/main/format/Schema.fbs
"""

from __future__ import annotations

import base64
import binascii
import struct
import zoneinfo
from pathlib import Path

import polars as pl

from batchfree.data.input.flatbuffer import FlatTable

MOST_DIGITS = 38
"""Most digits of a decimal that Polars reads and writes."""
DECIMAL, TIMESTAMP = 7, 10
UNREADABLE_TYPES = {
    11: "intervals",
    14: "unions of several types",
    22: "run-end encoded values",
    25: "list views",
    26: "list views",
}
"""`Type` of a field → the values that Polars can't read."""
NAME, KIND, TYPE, CHILDREN = 0, 2, 3, 5
"""Fields of the table `Field`."""
FILE_START, MARKER = b"ARROW1\0\0", b"\xff\xff\xff\xff"
LONGEST_SCHEMA = 64 << 20


def unreadable_columns(path: str, form: str) -> dict[str, str]:
    """Column → what can't be read in it, for a local file. Empty if the file holds no schema that can be read."""
    try:
        schema = _schema(_parquet_schema(path) if form == "parquet" else _arrow_schema(path))
        fields = () if schema is None else schema.tables(1)
        return {field.text(NAME): found for field in fields if (found := _unreadable(field)) is not None}
    except (struct.error, binascii.Error, RecursionError, OSError, *PANICS):
        return {}


PANICS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


def _arrow_schema(path: str) -> bytes:
    with Path(path).open("rb") as file:
        start = len(FILE_START) if file.read(len(FILE_START)) == FILE_START else 0
        file.seek(start)
        return file.read(LONGEST_SCHEMA)


def _parquet_schema(path: str) -> bytes:
    return base64.b64decode(pl.read_parquet_metadata(path).get("ARROW:schema", ""))


def _schema(message: bytes) -> FlatTable | None:
    """The table `Schema` in an encapsulated message. Old files have no marker before it."""
    head = 8 if message.startswith(MARKER) else 4
    return FlatTable.root(message[head:]).table(2)


def _unreadable(field: FlatTable) -> str | None:
    kind, details = field.number(KIND, "<B"), field.table(TYPE)
    if kind in UNREADABLE_TYPES:
        return f"{UNREADABLE_TYPES[kind]} can't be read"
    if kind == DECIMAL and details is not None:
        digits, scale = details.number(0, "<i"), details.number(1, "<i")
        if digits > MOST_DIGITS or scale < 0:
            return too_many_digits(digits) if scale >= 0 else f"decimals of the scale {scale} can't be read"
    if kind == TIMESTAMP and details is not None and (zone := details.text(1)) and not _is_zone(zone):
        return f"times in the unknown time zone {zone!r} can't be read"
    return next((found for child in field.tables(CHILDREN) if (found := _unreadable(child)) is not None), None)


def too_many_digits(digits: int) -> str:
    """The sentence for decimals with too many digits."""
    return f"decimals of {digits} digits can't be read, only up to {MOST_DIGITS}"


def _is_zone(name: str) -> bool:
    if name[:1] in "+-":
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
