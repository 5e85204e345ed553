"""Parquet and Arrow files, local or remote. Polars scans them; the check before a run reads only their schemas."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from batchfree.core.errors import Mistake
from batchfree.data.input import arrow_lengths, arrow_stream, arrow_types
from batchfree.data.input.input_files import is_remote
from batchfree.data.input.lazy_rows import lazy_rows
from batchfree.data.input.survey import Findings, Places, Survey

CAST = "cast it to another type where the file is made"

UNREADABLE = (
    *(pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError),
    *(arrow_stream.BrokenStreamError, arrow_lengths.AbsurdLengthError),
)
"""What Polars raises for files and types that it can't read; some types make it panic."""


def scan_file(path: str, form: str) -> pl.LazyFrame:
    """The rows of one file; `form` is `parquet` or `arrow`."""
    if form == "parquet":
        return pl.scan_parquet(path, glob=False, hive_partitioning=False)
    if not is_remote(path) and arrow_stream.is_stream(path):
        return lazy_rows(lambda columns: arrow_stream.batches(path), arrow_stream.schema_of(path))
    return pl.scan_ipc(path, glob=False, hive_partitioning=False)


def _count_rows(path: str, form: str) -> int:
    if form == "arrow" and not is_remote(path) and arrow_stream.is_stream(path):
        return arrow_stream.count_rows(path)
    return int(scan_file(path, form).select(pl.len()).collect().item())


def survey(paths: Sequence[str], form: str) -> Survey:
    """The columns of all files, from their schemas, and their numbers of rows. Mistakes are in the survey."""
    columns: dict[str, pl.DataType] = {}
    first: dict[str, str] = {}
    findings, places = Findings(), Places()
    for path in paths:
        places.begin(path)
        try:
            with _silent_panics():
                if form == "arrow" and not is_remote(path):
                    arrow_lengths.check_file(path)
                schema = scan_file(path, form).collect_schema()
                places.add_rows(_count_rows(path, form))
        except UNREADABLE as error:
            findings.add(*_unreadable_file(path, form, error))
            continue
        for name, dtype in schema.items():
            if problem := _unreadable(dtype):
                findings.add(Mistake(message=f"{problem}; {CAST}", file=path, key=name))
        for name, dtype in schema.items():
            known = columns.get(name)
            if known is None or isinstance(known, pl.Null):
                columns[name], first[name] = dtype, path
            elif known != dtype and not isinstance(dtype, pl.Null):
                message = f"{dtype} here, but {known} in {first[name]}"
                findings.add(Mistake(message=message, file=path, key=name))
    return Survey(schema=pl.Schema(columns), places=places, mistakes=findings.list())


def scan_files(paths: Sequence[str], form: str, found: Survey) -> pl.LazyFrame:
    """The rows of all files in order, with the columns of all files."""
    return pl.concat([scan_file(path, form) for path in paths], how="diagonal").select(*found.schema)


def _unreadable_file(path: str, form: str, error: BaseException) -> Iterator[Mistake]:
    """The mistakes in a file: its columns that can't be read, else the message of Polars."""
    with _silent_panics():
        columns = {} if is_remote(path) else arrow_types.unreadable_columns(path, form)
    for name, problem in columns.items():
        yield Mistake(message=f"{problem}; {CAST}", file=path, key=name)
    if not columns:
        advice = "; the file is damaged or was cut off: fetch it anew"
        yield Mistake(message=f"can't be read as {form}: {first_line(error)}{advice}", file=path)


def _unreadable(dtype: pl.DataType) -> str | None:
    """Why Polars can't read values of this type, although it knows the type; None if it can."""
    if isinstance(dtype, pl.Decimal) and dtype.precision > arrow_types.MOST_DIGITS:
        return arrow_types.too_many_digits(dtype.precision)
    if isinstance(dtype, pl.Array) and 0 in dtype.shape:
        return "lists of the fixed size 0 can't be read"
    return next((problem for inner in _inner(dtype) if (problem := _unreadable(inner))), None)


def _inner(dtype: pl.DataType) -> Iterator[pl.DataType]:
    """The types inside a nested type."""
    found = [field.dtype for field in dtype.fields] if isinstance(dtype, pl.Struct) else []
    found += [getattr(dtype, name) for name in ("inner", "key", "value") if hasattr(dtype, name)]
    return (each for each in found if isinstance(each, pl.DataType))


def first_line(error: BaseException) -> str:
    """The first line of an error."""
    return str(error).partition("\n")[0]


@contextmanager
def _silent_panics() -> Iterator[None]:
    """Keeps Polars from printing the stack of a panic to stderr; the exception says enough."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
