"""The table's file: written beside its place, made durable, and renamed; a reader never sees half of it."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from batchfree.core.errors import Mistake, SpecError, StorageError
from batchfree.core.formats import output_format
from batchfree.data.output.openai_results import result_lines

if TYPE_CHECKING:
    from batchfree.jobspec import JobSpec

PROBE = 4 << 20
"""Bytes that a disk must take to be no cause for trouble; more than Polars writes at a time."""
ROWS_AT_ONCE = 8_192
"""Rows of one group in a Parquet or Arrow file: Polars holds a whole group in memory, and by itself makes huge ones."""
LEFT_BEHIND = 3600.0
"""Seconds without a change after which the unfinished file of a killed process is removed."""


def write(table: pl.LazyFrame, path: Path, spec: JobSpec) -> None:
    """Writes the table in the format that the suffix names. Raises StorageError; then the old file still stands."""
    target = path.resolve()
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(target)
        _sink(table, unfinished, path.name, spec)
        _make_durable(unfinished, target)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = _disk_trouble(unfinished) or getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise StorageError(
            f"{path}: the table can't be written: {reason}. The answers are safe in the journal."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def _disk_trouble(unfinished: Path) -> str | None:
    """What the system says to more of the file; Polars tells of a full disk in words of its own."""
    try:
        with unfinished.open("ab") as file:
            file.write(bytes(PROBE))
    except OSError as error:
        return error.strerror
    return None


def check_writable(path: Path) -> None:
    """Makes sure, as far as that can be known beforehand, that the table can be written there. Raises SpecError."""
    problem = _problem(path)
    if problem:
        raise SpecError([Mistake(message=problem, file=str(path), key="output.path")])


def _problem(path: Path) -> str | None:
    try:
        if path.is_dir():
            return "the output is a folder; name a file in it"
        folder = path.resolve().parent
        while not os.path.lexists(folder) and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            return f"the output can't be written there: {folder} is not a folder"
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"the output can't be written there: no permission to write in {folder}"
        os.pathconf(folder, "PC_NAME_MAX")
        if len(os.fsencode(path.name)) + 16 > os.pathconf(folder, "PC_NAME_MAX"):
            return "the name of the output is too long"
    except OSError as error:
        return f"the output can't be written there: {error.strerror}"
    return None


def _sink(table: pl.LazyFrame, unfinished: Path, name: str, spec: JobSpec) -> None:
    match output_format(name):
        case "openai-batch":
            is_batch = spec.input.format == "openai-batch"
            id_column = "custom_id" if is_batch and spec.input.id is None else spec.input.id
            with unfinished.open("wb") as file:
                file.writelines(result_lines(table, id_column=id_column, prefix=spec.output.prefix))
        case "jsonl":
            table = _with(table, _holds_bytes, _text_column)
            table.sink_ndjson(unfinished, check_extension=False)
        case "csv":
            table = _with(table, _is_beyond_csv, _text_column)
            table.sink_csv(unfinished, check_extension=False)
        case "arrow":
            table.sink_ipc(unfinished, compression="zstd", record_batch_size=ROWS_AT_ONCE)
        case _:
            table.sink_parquet(unfinished, row_group_size=ROWS_AT_ONCE)


def _make_durable(unfinished: Path, target: Path) -> None:
    """Renames the file over the old one, with nothing left in memory only."""
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    if target.exists():
        shutil.copymode(target, unfinished)
    unfinished.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_left_behind(target: Path) -> None:
    start = f".{target.name}."
    for other in target.parent.iterdir():
        if (
            other.name.startswith(start)
            and other.suffix == ".tmp"
            and time.time() - other.stat().st_mtime > LEFT_BEHIND
        ):
            other.unlink(missing_ok=True)


def _with(
    table: pl.LazyFrame, affects: Callable[[pl.DataType], bool], change: Callable[[str], pl.Expr]
) -> pl.LazyFrame:
    """The table with those columns changed whose types the format can't hold."""
    names = [name for name, dtype in table.collect_schema().items() if affects(dtype)]
    return table.with_columns(change(name) for name in names) if names else table


def _holds_bytes(dtype: pl.DataType) -> bool:
    return "Binary" in str(dtype)


def _is_beyond_csv(dtype: pl.DataType) -> bool:
    return dtype.is_nested() or isinstance(dtype, pl.Duration) or _holds_bytes(dtype)


def _text_column(name: str) -> pl.Expr:
    return pl.col(name).map_batches(_as_text, return_dtype=pl.String(), is_elementwise=True)


def _as_text(column: pl.Series) -> pl.Series:
    return pl.Series(column.name, [_text(value) for value in column.to_list()], dtype=pl.String())


def _text(value: Any) -> str | None:
    """Bytes as base64, durations as people write them, everything nested as JSON."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_text)
    return str(value)
