"""The file of the output table, in the format that its suffix names."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from batchfree.core import formats
from batchfree.core.errors import StorageError
from batchfree.data.openai_batch import id_column
from batchfree.data.output.openai_results import result_lines
from batchfree.data.output.ownership import metadata_of
from batchfree.data.output.whole_numbers import holds_fractions, json_lines, number_text, whole_numbers
from batchfree.journal.atomic_file import atomic_write

if TYPE_CHECKING:
    from batchfree.jobspec import JobSpec

PROBE_BYTES = 4 << 20
"""A disk that takes this many more bytes is not full; Polars writes less at a time."""
GROUP_BYTES = 16 << 20
"""About the size of a group of rows in a Parquet or Arrow file. Polars holds a whole group in memory, and its own
groups are huge."""
LEAST_ROWS, MOST_ROWS = 256, 8_192
"""Limits for the rows of a group."""


def write(
    table: pl.LazyFrame, path: Path, spec: JobSpec, mixed: Collection[str] = (), *, row_bytes: float = 0.0
) -> None:
    """Writes the table in the format that the suffix names. Raises StorageError; the old file then stays as it was.

    `mixed` names the columns with fractions in some rows and whole numbers in others. In text formats the whole numbers
    in these columns, and in answers, are written without `.0`. `row_bytes` is about the size of a row.
    """
    try:
        path.resolve().parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as unfinished:
            try:
                _sink(table, unfinished, path, spec, mixed, rows_per_group(row_bytes))
            except (OSError, pl.exceptions.PolarsError) as error:
                raise _unwritten(path, _disk_trouble(unfinished) or _reason(error)) from error
    except OSError as error:
        raise _unwritten(path, _reason(error)) from error


def _unwritten(path: Path, reason: str) -> StorageError:
    return StorageError(f"{path}: the table can't be written: {reason}. The answers are safe in the journal.")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).partition("\n")[0]


def _disk_trouble(unfinished: Path) -> str | None:
    """The system's error if no more can be written to the file, else None. Polars hides a full disk."""
    try:
        with unfinished.open("ab") as file:
            file.write(bytes(PROBE_BYTES))
    except OSError as error:
        return error.strerror
    return None


def rows_per_group(row_bytes: float) -> int:
    """The number of rows in one group, for rows of about this size. Wide rows must not fill the memory."""
    return MOST_ROWS if row_bytes <= 0 else max(LEAST_ROWS, min(MOST_ROWS, int(GROUP_BYTES / row_bytes)))


def _sink(table: pl.LazyFrame, unfinished: Path, path: Path, spec: JobSpec, mixed: Collection[str], group: int) -> None:
    """Writes the table to the unfinished file, in the format that `path` ends in; without a known suffix Parquet."""
    match formats.output_format(path):
        case formats.OPENAI_BATCH:
            with unfinished.open("wb") as file:
                file.writelines(result_lines(table, id_column=id_column(spec.input), prefix=spec.output.prefix))
        case "jsonl":
            lines = _with_text(table, _is_beyond_json)
            if mixed := _mixed(lines, spec, mixed):
                with unfinished.open("wb") as file:
                    file.writelines(json_lines(lines, mixed))
            else:
                lines.sink_ndjson(unfinished, check_extension=False)
        case "csv":
            schema = table.collect_schema()
            changed = [
                _text_column(name, whole_numbers) if schema[name].is_nested() else number_text(name)
                for name in _mixed(table, spec, mixed)
            ]
            _with_text(table.with_columns(changed), _is_beyond_csv).sink_csv(unfinished, check_extension=False)
        case "arrow":
            table.sink_ipc(unfinished, compression="zstd", record_batch_size=group)
        case _:
            written = _with_text(table, _is_beyond_parquet)
            written.sink_parquet(unfinished, row_group_size=group, metadata=metadata_of(spec, path))


def _mixed(table: pl.LazyFrame, spec: JobSpec, mixed: Collection[str]) -> list[str]:
    """The columns in which whole numbers stand beside fractions: those of the input, and the answers."""
    schema, answer = table.collect_schema(), f"{spec.output.prefix}answer"
    return [name for name in schema if name in {*mixed, answer} and holds_fractions(schema[name])]


def _with_text(table: pl.LazyFrame, is_beyond: Callable[[pl.DataType], bool]) -> pl.LazyFrame:
    """The table with those columns turned into text whose types the format does not have."""
    names = [name for name, dtype in table.collect_schema().items() if is_beyond(dtype)]
    return table.with_columns(_text_column(name) for name in names) if names else table


def _holds_bytes(dtype: pl.DataType) -> bool:
    return "Binary" in str(dtype)


def _is_beyond_json(dtype: pl.DataType) -> bool:
    return _holds_bytes(dtype) or "Map(" in str(dtype)


def _is_beyond_parquet(dtype: pl.DataType) -> bool:
    """Whether an object without any key is in the type: Parquet has no such type."""
    return "Struct({})" in str(dtype)


def _is_beyond_csv(dtype: pl.DataType) -> bool:
    return dtype.is_nested() or isinstance(dtype, pl.Duration) or _holds_bytes(dtype)


def _text_column(name: str, change: Callable[[Any], Any] = lambda value: value) -> pl.Expr:
    """A column as text; `change` is applied to each value first."""

    def text_series(column: pl.Series) -> pl.Series:
        return pl.Series(column.name, [_text(change(value)) for value in column.to_list()], dtype=pl.String())

    return pl.col(name).map_batches(text_series, return_dtype=pl.String(), is_elementwise=True)


def _text(value: Any) -> str | None:
    """Bytes as base64, nested values as JSON, other values such as durations as Python prints them."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_text)
    return str(value)
