"""JSON Lines: a checking pass that learns the columns, then rows in batches with all columns and types known.

The whole text is checked before the first row is used: a column that appears late is not lost, a broken line is named.
OpenAI's batch input files are read the same way; their `body` is kept as JSON text, since no two bodies need be alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec
import polars as pl

from batchfree.core.chat import Json, JsonObject
from batchfree.core.errors import DatasetError, Mistake
from batchfree.core.text import without_surrogates
from batchfree.data.input.shapes import KINDS, Shape, widen
from batchfree.data.input.survey import Findings, Places, Survey
from batchfree.data.input.text_lines import mistake_at, read_lines

BATCH_ROWS = 4_096
BATCH_BYTES = 8 << 20
COLUMNS_MOST = 10_000

_decode = msgspec.json.Decoder().decode


class BrokenLineError(Exception):
    """A line that is not a JSON object; says why."""


def read_row(line: bytes) -> JsonObject:
    """The object in one line. Raises BrokenLineError."""
    try:
        row = _decode(line)
    except UnicodeDecodeError as error:
        raise BrokenLineError(f"not UTF-8 text (byte 0x{error.object[error.start]:02x})") from error
    except RecursionError as error:
        raise BrokenLineError("nested too deeply") from error
    except msgspec.DecodeError as error:
        row = _with_lone_surrogates(line, error)
    if row.__class__ is not dict:
        kind = KINDS.get(row.__class__, "null")
        raise BrokenLineError(f"a line must hold a JSON object; this one holds {kind}")
    return row


def _with_lone_surrogates(line: bytes, error: msgspec.DecodeError) -> Json:
    """JSON may escape half a character, which no text can hold; it becomes U+FFFD."""
    if b"\\ud" in line.lower():
        try:
            return without_surrogates(json.loads(line, parse_constant=_refuse))
        except (ValueError, RecursionError):
            pass
    raise BrokenLineError(f"broken JSON: {str(error).removeprefix('JSON is malformed: ')}") from error


def _refuse(constant: str) -> Json:
    raise ValueError(constant)


def survey(paths: Sequence[str], check: Callable[[JsonObject], str | None], as_text: Sequence[str] = ()) -> Survey:
    """Reads every line once. `check` says what else is wrong with a row; columns of `as_text` stay JSON text."""
    look = _Look(check)
    for path in paths:
        look.file(path)
    dtypes = {name: None if name in as_text else shape.dtype() for name, shape in look.columns.items()}
    return Survey(
        schema=pl.Schema({name: dtype or pl.String() for name, dtype in dtypes.items()}),
        places=look.places,
        mistakes=look.findings.list(),
        as_text=frozenset(name for name, dtype in dtypes.items() if dtype is None),
        widened=frozenset(name for name, dtype in dtypes.items() if dtype and look.columns[name].widened()),
    )


class _Look:
    """The checking pass over all files."""

    def __init__(self, check: Callable[[JsonObject], str | None]) -> None:
        self.columns: dict[str, Shape] = {}
        self.findings, self.places = Findings(), Places()
        self._check = check
        self._first: dict[str, str] = {}
        self._blamed: set[str] = set()

    def file(self, path: str) -> None:
        self.places.begin(path)
        try:
            for number, line in enumerate(read_lines(path), start=1):
                if line and not line.isspace():
                    self._line(path, number, line)
        except DatasetError as error:
            self.findings.add(*error.mistakes)

    def _line(self, path: str, number: int, line: bytes) -> None:
        try:
            row = read_row(line)
        except BrokenLineError as error:
            hint = "; is the whole file one JSON array?" if number == 1 and line.lstrip().startswith(b"[") else ""
            self.findings.add(Mistake(message=f"{error}{hint}", file=path, line=number))
            return
        self.places.add_row(number)
        problem = self._check(row)
        if problem:
            self.findings.add(Mistake(message=problem, file=path, line=number))
        for name, value in row.items():
            shape = self.columns.get(name)
            if shape is None:
                shape = self._new_column(name, path, number)
            if value is not None and value.__class__ not in shape.kinds:
                self._new_kind(name, value, path, number)
            shape.see(value)

    def _new_column(self, name: str, path: str, number: int) -> Shape:
        if len(self.columns) == COLUMNS_MOST:
            message = (
                f"a line has the {COLUMNS_MOST + 1}st column; keys that differ from row to row belong in an object"
            )
            raise mistake_at(path, number, message)
        shape = self.columns[name] = Shape()
        return shape

    def _new_kind(self, name: str, value: Json, path: str, number: int) -> None:
        before = self.columns[name].clash(value)
        if before is None:
            self._first.setdefault(name, f"{path}:{number}")
        elif name not in self._blamed:
            self._blamed.add(name)
            message = f"{KINDS[value.__class__]} here, but {before} in {self._first[name]}"
            self.findings.add(Mistake(message=message, file=path, line=number, key=name))


def batches(paths: Sequence[str], found: Survey, columns: Collection[str]) -> Iterator[pl.DataFrame]:
    """The rows, at most 4,096 or about 8 MB at a time. Raises DatasetError where a file changed since the survey."""
    schema = pl.Schema({name: dtype for name, dtype in found.schema.items() if name in columns})
    rows: list[JsonObject] = []
    size = 0
    for path in paths:
        for number, line in enumerate(read_lines(path), start=1):
            if not line or line.isspace():
                continue
            try:
                rows.append(read_row(line))
            except BrokenLineError as error:
                raise mistake_at(path, number, f"{error}; the file was changed while it was read") from error
            size += len(line)
            if len(rows) == BATCH_ROWS or size >= BATCH_BYTES:
                yield _frame(rows, schema, found, path)
                rows, size = [], 0
    if rows:
        yield _frame(rows, schema, found, paths[-1])


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
