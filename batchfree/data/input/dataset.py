"""The input of a job: its columns, its rows in batches, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from batchfree.core import formats
from batchfree.core.chat import JsonObject
from batchfree.core.errors import DatasetError, Mistake
from batchfree.data.input import columnar, csv_text, ids, jsonl
from batchfree.data.input.condition import parse_condition
from batchfree.data.input.input_files import InputFiles, digest_of, find_files, is_remote
from batchfree.data.input.lazy_rows import lazy_rows
from batchfree.data.input.row_batch import RowBatch, unused_name
from batchfree.data.input.survey import Findings, Survey
from batchfree.data.input.where import check_condition
from batchfree.data.openai_batch import BODY, id_column, request_line_mistake
from batchfree.data.unknown_column import no_column

if TYPE_CHECKING:
    from batchfree.jobspec import InputSpec

BATCH_ROWS = 4_096
MOST_WARNINGS = 3
JSON_FORMATS = ("jsonl", formats.OPENAI_BATCH)
"""Formats whose lines hold values of any type."""


def open_dataset(spec: InputSpec, leave_out: Sequence[Path] = ()) -> Dataset:
    """Finds the files of the input; nothing is read yet. Raises DatasetError if a file is missing or unreadable.

    `leave_out` holds files and folders that patterns do not find: the run folder and the table.
    """
    return Dataset(spec, find_files(spec, leave_out))


class Dataset:
    """The rows of a job in input order, without those that `input.where` leaves out.

    A column of the table is JSON text if no column type can hold its values, and so is `body` of an OpenAI batch file.
    `rows` gives every row as it stands in the file, whatever the types of the columns are.
    """

    def __init__(self, spec: InputSpec, files: InputFiles) -> None:
        self.format = files.format
        self.id = id_column(spec)
        """The column that names rows, if there is one."""
        self._where = spec.where
        self._files = files

    @property
    def files(self) -> Sequence[str]:
        """The paths and URLs of the input, in reading order."""
        return self._files.paths

    @property
    def schema(self) -> pl.Schema:
        """The columns and their types. For a text format the first call reads the whole input. Raises DatasetError."""
        if self._survey.mistakes:
            raise DatasetError(self._survey.mistakes)
        return self._survey.schema

    @property
    def mixed(self) -> frozenset[str]:
        """The columns with whole numbers in some rows and fractions in others, as values or inside the values."""
        return self._survey.mixed | self._survey.widened

    @property
    def frame(self) -> pl.LazyFrame:
        """The rows as a lazy frame. Raises DatasetError."""
        return self._filtered(self._all_rows())

    def _filtered(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """The rows that `where` keeps. An input without columns has no rows. Raises DatasetError."""
        return rows if self._where is None or not self.schema else rows.filter(self._condition())

    def batches(self, size: int = BATCH_ROWS, columns: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows in order, at most `size` at a time. `columns` limits the columns; they keep the input's order.

        Raises DatasetError if a file turns out broken while it is read.
        """
        # Polars needs at least one column: a frame without columns has no rows.
        names = [name for name in self.schema if columns is None or name in columns] or list(self.schema)[:1]
        yield from self._batches(size, names)

    def _batches(self, size: int, names: Sequence[str], line: str | None = None) -> Iterator[pl.DataFrame]:
        """The rows in order, at most `size` at a time, with the columns `names`.

        `line` names a further column, for the lines of JSON Lines. Without `where` a text format does not pass through
        Polars, because Polars would read ahead and hold many batches.
        """
        if self._where is None and self.schema and self.format in formats.TEXT_FORMATS:
            for batch in self._read_batches(names, line):
                yield from batch.iter_slices(size)
        else:
            rows = self._filtered(self._all_rows(line))
            chosen = [*names, *([] if line is None else [line])]
            yield from self._collect(rows.select(chosen) if self.schema else rows, size)

    def _collect(self, rows: pl.LazyFrame, size: int) -> Iterator[pl.DataFrame]:
        chunk = None if self.format in formats.TEXT_FORMATS else size
        try:
            for batch in rows.collect_batches(chunk_size=chunk):
                yield from batch.iter_slices(size)
        except columnar.UNREADABLE as error:
            raise DatasetError([self._unreadable(error)]) from error

    def row_batches(self, size: int, columns: Collection[str]) -> Iterator[RowBatch]:
        """The rows in order, at most `size` at a time: these columns of the table, and the values of all columns.

        Raises DatasetError if a file turns out broken while it is read.
        """
        if self.format not in JSON_FORMATS:
            yield from (RowBatch(frame=batch) for batch in self.batches(size, columns))
            return
        line = unused_name(self.schema)
        for batch in self._batches(size, [name for name in self.schema if name in columns], line):
            if batch.width:
                yield RowBatch(frame=batch.drop(line), lines=batch.get_column(line))

    def rows(self, columns: Collection[str]) -> Iterator[JsonObject]:
        """Each row's own values, of these columns. A row of JSON Lines holds only the keys that stand in its line.

        Raises DatasetError if a file turns out broken while it is read.
        """
        is_json = bool(self.schema) and self.format in JSON_FORMATS
        if is_json and self._where is None:
            yield from jsonl.rows(self._files.paths, columns)
            return
        for batch in self.row_batches(BATCH_ROWS, () if is_json else columns):
            yield from batch.rows(columns)

    @property
    def size_bytes(self) -> int:
        """The size of the local files, as they are stored."""
        local = [Path(file) for file in self.files if not is_remote(file)]
        return sum(file.stat().st_size for file in local if file.exists())

    def count(self) -> int:
        """The number of rows. Raises DatasetError if a file turns out broken while it is read."""
        if self._where is None:
            return self._survey.places.rows
        try:
            return int(self.frame.select(pl.len()).collect(engine="streaming").item())
        except columnar.UNREADABLE as error:
            raise DatasetError([self._unreadable(error)]) from error

    def check(self) -> list[Mistake]:
        """The mistakes that can be found before a row is sent: the first 20, then the number of the others."""
        if self._survey.mistakes:
            return list(self._survey.mistakes)
        findings = Findings()
        if self._survey.places.rows and not self._survey.schema:
            findings.add(Mistake(message="no row has any value", file=self.files[0]))
        try:
            findings.add(*self._check_where())
            if self.id is not None and not findings:
                self._check_id(self.id, findings)
        except columnar.UNREADABLE as error:
            findings.add(self._unreadable(error))
        return findings.list()

    def warnings(self) -> list[str]:
        """What may be a mistake: files without rows."""
        found = []
        for file in self._survey.places.files_without_rows():
            is_empty = not is_remote(file) and Path(file).stat().st_size == 0
            found.append(f"{file}: the file {'is empty' if is_empty else 'has no rows'}")
        return found if len(found) <= MOST_WARNINGS else [f"{len(found)} files have no rows, such as {found[0]}"]

    def reads(self, path: Path) -> bool:
        """Whether `path` is one of the input's files, under any name."""
        local = [Path(each) for each in self._files.paths if not is_remote(each)]
        return path.exists() and any(path.samefile(each) for each in local)

    def input_digest(self) -> str:
        """A fingerprint of the input's files."""
        return digest_of(self._files)

    @cached_property
    def _survey(self) -> Survey:
        paths = self._files.paths
        match self.format:
            case "jsonl":
                return jsonl.survey(paths, lambda row: None)
            case formats.OPENAI_BATCH:
                return jsonl.survey(paths, request_line_mistake, as_text=(BODY,))
            case "csv":
                return csv_text.survey(paths, self._files.separators())
            case _:
                return columnar.survey(paths, self.format)

    def _all_rows(self, line_column: str | None = None) -> pl.LazyFrame:
        """All rows, also those that `where` leaves out; of JSON Lines with a further column of the lines themselves."""
        schema = self.schema
        if self.format not in formats.TEXT_FORMATS:
            return columnar.scan_files(self._files.paths, self.format, self._survey)
        if not schema:
            return pl.LazyFrame()

        first = set(list(schema)[:1])
        extra = {} if line_column is None else {line_column: pl.Binary()}
        return lazy_rows(lambda columns: self._read_batches(columns or first, line_column), {**schema, **extra})

    def _read_batches(self, columns: Collection[str], line_column: str | None) -> Iterator[pl.DataFrame]:
        """The rows of a text format."""
        paths, found = self._files.paths, self._survey
        if self.format == "csv":
            return csv_text.batches(paths, self._files.separators(), found, columns)
        return jsonl.batches(paths, found, columns, line_column)

    def _condition(self) -> pl.Expr:
        """`where` as an expression. Raises DatasetError."""
        mistakes = self._check_where()
        if mistakes:
            raise DatasetError(mistakes)
        return parse_condition(self._where or "true")

    def _check_where(self) -> list[Mistake]:
        where, schema = self._where, self._survey.schema
        return [] if where is None or not schema else check_condition(where, schema, self.files)

    def _check_id(self, column: str, findings: Findings) -> None:
        schema = self._survey.schema
        if not schema:
            return
        if column not in schema:
            findings.add(Mistake(message=no_column(column, schema, self.files), key="input.id"))
            return
        wrong_type = ids.mistake_of_type(column, schema[column])
        if wrong_type:
            findings.add(wrong_type)
            return
        number = unused_name(schema)
        numbered = self._all_rows().with_row_index(number)
        rows = numbered if self._where is None else numbered.filter(self._condition())
        names = rows.select(pl.col(number).alias(ids.ROW), pl.col(column).alias(ids.NAME))
        ids.check_ids(names, column, self._survey.places, findings)

    def _unreadable(self, error: BaseException) -> Mistake:
        return Mistake(message=f"can't be read: {columnar.first_line(error)}", file=self._files.paths[0])
