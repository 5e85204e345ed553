"""JSON Lines: a first pass learns the columns and finds broken lines, then rows are read in batches.

The first pass reads the whole text, so it knows columns that appear late and names every broken line. OpenAI's batch
files are read in the same way. Their `body` stays JSON text, because each body may have other keys.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypedDict

import msgspec
import polars as pl

from batchfree.core.chat import Json, JsonObject
from batchfree.core.errors import DatasetError, Mistake
from batchfree.core.text import without_surrogates
from batchfree.data.input.shapes import KINDS, Shape, widen
from batchfree.data.input.survey import Findings, Places, Survey
from batchfree.data.input.text_lines import mistake_at, read_lines
from batchfree.data.input.wrong_files import JSON_CHARACTERS, json_layout

BATCH_ROWS = 4_096
BATCH_BYTES = 8 << 20
MOST_COLUMNS = 10_000

_decode = msgspec.json.Decoder().decode


class BrokenLineError(Exception):
    """A line that is not a JSON object. The message says why."""


def read_row(line: bytes) -> JsonObject:
    """The object in one line. Raises BrokenLineError."""
    try:
        row = _decode(line)
    except UnicodeDecodeError as error:
        raise BrokenLineError(
            f"not UTF-8 text (byte 0x{error.object[error.start]:02x}); save the file as UTF-8"
        ) from error
    except RecursionError as error:
        raise BrokenLineError("nested too deeply") from error
    except msgspec.DecodeError as error:
        row = _with_lone_surrogates(line, error)
    if row.__class__ is not dict:
        kind = KINDS.get(row.__class__, "null")
        raise BrokenLineError(f"a line must hold a JSON object; this one holds {kind}")
    return row


def _with_lone_surrogates(line: bytes, error: msgspec.DecodeError) -> Json:
    """Reads a line that escapes half a surrogate pair. No text can hold such a half, so it becomes U+FFFD."""
    if b"\\ud" in line.lower():
        try:
            return without_surrogates(json.loads(line, parse_constant=_refuse))
        except (ValueError, RecursionError):
            pass
    raise BrokenLineError(f"broken JSON: {str(error).removeprefix('JSON is malformed: ')}") from error


def _refuse(constant: str) -> Json:
    raise ValueError(constant)


def survey(paths: Sequence[str], check: Callable[[JsonObject], str | None], as_text: Sequence[str] = ()) -> Survey:
    """Reads every line once. `check` returns what else is wrong with a row; columns in `as_text` stay JSON text."""
    first_pass = _FirstPass(check)
    for path in paths:
        first_pass.read_file(path)
    dtypes = {name: None if name in as_text else shape.dtype() for name, shape in first_pass.columns.items()}
    return Survey(
        schema=pl.Schema({name: dtype or pl.String() for name, dtype in dtypes.items()}),
        places=first_pass.places,
        mistakes=first_pass.findings.list(),
        as_text=frozenset(name for name, dtype in dtypes.items() if dtype is None),
        mixed=frozenset(name for name, dtype in dtypes.items() if dtype and first_pass.columns[name].is_mixed()),
        widened=frozenset(name for name, dtype in dtypes.items() if dtype and first_pass.columns[name].widened()),
    )


class _FirstPass:
    """The first pass over all files."""

    def __init__(self, check: Callable[[JsonObject], str | None]) -> None:
        self.columns: dict[str, Shape] = {}
        self.findings, self.places = Findings(), Places()
        self._check = check
        self._first: dict[str, str] = {}
        self._blamed: set[str] = set()

    def read_file(self, path: str) -> None:
        self.places.begin(path)
        try:
            lines = enumerate(read_lines(path), start=1)
            for number, line in lines:
                if line and not line.isspace():
                    if problem := _layout_mistake(path, line):
                        raise mistake_at(path, number, problem)
                    self._read_line(path, number, line)
                    break
            for number, line in lines:
                if line and not line.isspace():
                    self._read_line(path, number, line)
        except DatasetError as error:
            self.findings.add(*error.mistakes)

    def _read_line(self, path: str, number: int, line: bytes) -> None:
        try:
            row = read_row(line)
        except BrokenLineError as error:
            self.findings.add(Mistake(message=str(error), file=path, line=number))
            return
        self.places.add_row(number)
        problem = self._check(row)
        if problem:
            self.findings.add(Mistake(message=problem, file=path, line=number))
        for name, value in row.items():
            shape = self.columns.get(name)
            if shape is None:
                shape = self._add_column(name, path, number)
            if value is not None and value.__class__ not in shape.kinds:
                self._check_kind(name, value, path, number)
            shape.see(value)

    def _add_column(self, name: str, path: str, number: int) -> Shape:
        if len(self.columns) == MOST_COLUMNS:
            message = (
                f"this line brings column {MOST_COLUMNS + 1:,}; put keys that differ from row to row into an object"
            )
            raise mistake_at(path, number, message)
        shape = self.columns[name] = Shape()
        return shape

    def _check_kind(self, name: str, value: Json, path: str, number: int) -> None:
        before = self.columns[name].clash(value)
        if before is None:
            self._first.setdefault(name, f"{path}:{number}")
        elif name not in self._blamed:
            self._blamed.add(name)
            message = f"{KINDS[value.__class__]} here, but {before} in {self._first[name]}"
            self.findings.add(Mistake(message=message, file=path, line=number, key=name))


def _layout_mistake(path: str, first: bytes) -> str | None:
    """The mistake of the whole file if its first line is not an object, else None. The file is read again."""
    try:
        read_row(first)
    except BrokenLineError:
        pass
    else:
        return None
    kept: list[str] = []
    size = 0
    for line in read_lines(path):
        if kept or not line.isspace():
            kept.append(line.decode(errors="replace"))
            size += len(kept[-1])
        if size >= JSON_CHARACTERS:
            break
    return json_layout("".join(kept)[:JSON_CHARACTERS])


@lru_cache(maxsize=8)
def row_reader(columns: frozenset[str]) -> Callable[[bytes], JsonObject]:
    """A function like `read_row` that gives only these keys. It skips the other values of a line."""
    keys: Any = TypedDict("Row", dict.fromkeys(columns, Any), total=False)  # type: ignore[misc]
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(keys).decode

    def read(line: bytes) -> JsonObject:
        try:
            row: JsonObject = decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            row = {name: value for name, value in read_row(line).items() if name in columns}
        return row

    return read


def rows(paths: Sequence[str], columns: Collection[str]) -> Iterator[JsonObject]:
    """The rows as they stand in the files, with these columns.

    Raises DatasetError if a file has changed since the survey.
    """
    read = row_reader(frozenset(columns))
    for path in paths:
        for number, line in enumerate(read_lines(path), start=1):
            if line and not line.isspace():
                yield _read_again(path, number, line, read)


def batches(
    paths: Sequence[str], found: Survey, columns: Collection[str], line_column: str | None = None
) -> Iterator[pl.DataFrame]:
    """The rows in batches of at most 4,096 rows or about 8 MB. `line_column` names a further column, for the lines.

    Raises DatasetError if a file has changed since the survey.
    """
    schema = pl.Schema({name: dtype for name, dtype in found.schema.items() if name in columns})
    kept: list[bytes] = []
    read: list[JsonObject] = []
    size = 0

    def frame(path: str) -> pl.DataFrame:
        made = _frame(read, schema, found, path)
        return made if line_column is None else made.with_columns(pl.Series(line_column, kept, dtype=pl.Binary()))

    for path in paths:
        for number, line in enumerate(read_lines(path), start=1):
            if not line or line.isspace():
                continue
            read.append(_read_again(path, number, line))
            if line_column is not None:
                kept.append(line)
            size += len(line)
            if len(read) == BATCH_ROWS or size >= BATCH_BYTES:
                yield frame(path)
                read, kept, size = [], [], 0
    if read:
        yield frame(paths[-1])


def _read_again(path: str, number: int, line: bytes, read: Callable[[bytes], JsonObject] = read_row) -> JsonObject:
    try:
        return read(line)
    except BrokenLineError as error:
        raise mistake_at(path, number, f"{error}; the file was changed while it was read") from error


def _frame(rows: list[JsonObject], schema: pl.Schema, found: Survey, path: str) -> pl.DataFrame:
    for name in found.as_text & schema.keys():
        for row in rows:
            if row.get(name) is not None:
                row[name] = json.dumps(row[name], ensure_ascii=False, separators=(",", ":"))
    for name in found.widened & schema.keys():
        for row in rows:
            row[name] = widen(row.get(name), schema[name])
    try:
        return pl.DataFrame({name: [row.get(name) for row in rows] for name in schema}, schema=schema)
    except (TypeError, KeyError, AttributeError, OverflowError, pl.exceptions.PolarsError) as error:
        raise mistake_at(path, None, "the file was changed while it was read") from error
