"""An opened input: its columns, its rows in batches, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
from polars.io.plugins import register_io_source

from batchfree.core.chat import JsonObject
from batchfree.core.errors import DatasetError, Mistake
from batchfree.core.formats import TEXT_FORMATS
from batchfree.data.input import columnar, csv_text, ids, jsonl
from batchfree.data.input.input_files import InputFiles, digest_of, find_files, is_remote
from batchfree.data.input.survey import Findings, Survey

if TYPE_CHECKING:
    from batchfree.jobspec import InputSpec

BATCH = 4_096
OPENAI_BATCH = "openai-batch"
CHAT_URL = "/v1/chat/completions"


def open_dataset(spec: InputSpec) -> Dataset:
    """The input, its files found but not read yet. Raises DatasetError where they are missing or can't be read."""
    return Dataset(spec, find_files(spec))


class Dataset:
    """The rows of a job: those that `input.where` leaves, in input order.

    Columns whose values no column type can hold (and `body` of OpenAI's batch files) are JSON text.
    """

    def __init__(self, spec: InputSpec, files: InputFiles) -> None:
        self.format = files.format
        self.id = "custom_id" if files.format == OPENAI_BATCH and spec.id is None else spec.id
        """The column that names rows, if there is one."""
        self._where = spec.where
        self._files = files

    @property
    def schema(self) -> pl.Schema:
        """The columns and their types. The first look at a text format reads it all. Raises DatasetError."""
        if self._survey.mistakes:
            raise DatasetError(self._survey.mistakes)
        return self._survey.schema

    @property
    def frame(self) -> pl.LazyFrame:
        """The rows, lazily."""
        rows = self._everything()
        return rows if self._where is None else rows.filter(self._condition())

    def batches(self, size: int = BATCH, columns: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows in order, at most `size` at a time, with all columns or only some, in the input's order.

        Raises DatasetError where a file breaks while it is read.
        """
        chunk = None if self.format in TEXT_FORMATS else size
        rows = self.frame
        if columns is not None:
            # at least one column, for without any there are no rows
            rows = rows.select([name for name in self.schema if name in columns] or list(self.schema)[:1])
        try:
            for batch in rows.collect_batches(chunk_size=chunk):
                yield from batch.iter_slices(size)
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise DatasetError([Mistake(message=f"can't be read: {reason}", file=self._files.paths[0])]) from error

    def count(self) -> int:
        """How many rows there are."""
        if self._where is None:
            return self._survey.places.rows
        return int(self.frame.select(pl.len()).collect(engine="streaming").item())

    def check(self) -> list[Mistake]:
        """Every mistake that can be found before a row is used: the first ones, and how many more there are."""
        if self._survey.mistakes:
            return list(self._survey.mistakes)
        findings = Findings()
        try:
            findings.add(*self._check_where())
            if self.id is not None and not findings:
                self._check_id(self.id, findings)
        except (pl.exceptions.PolarsError, OSError) as error:
            findings.add(Mistake(message=f"can't be read: {_first_line(error)}", file=self._files.paths[0]))
        return findings.list()

    def place(self, row: int) -> str:
        """Where a row (from zero) stands, for messages: file and line where that is known, else its number."""
        if self._where is not None:
            return f"row {row + 1}"
        found = self._survey.places.mistake(row, "")
        return f"{found.file}:{found.line}" if found.line else f"{found.file}, {found.message.rstrip(': ')}"

    def reads(self, path: Path) -> bool:
        """Whether this is one of the input's files, by whatever name."""
        here = [Path(each) for each in self._files.paths if not is_remote(each)]
        return path.exists() and any(path.samefile(each) for each in here)

    def input_digest(self) -> str:
        """A fingerprint of the input's files."""
        return digest_of(self._files)

    @cached_property
    def _survey(self) -> Survey:
        paths = self._files.paths
        match self.format:
            case "jsonl":
                return jsonl.survey(paths, lambda row: None)
            case "openai-batch":
                return jsonl.survey(paths, _not_a_chat_request, as_text=("body",))
            case "csv":
                return csv_text.survey(paths)
            case _:
                return columnar.survey(paths, self.format)

    def _everything(self) -> pl.LazyFrame:
        """All rows, also those that `where` leaves out."""
        schema = self.schema
        if self.format not in TEXT_FORMATS:
            return columnar.frame(self._files.paths, self.format, self._survey)
        if not schema:
            return pl.LazyFrame()
        read = csv_text.batches if self.format == "csv" else jsonl.batches

        def source(
            columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
        ) -> Iterator[pl.DataFrame]:
            left = limit
            needed = set(schema if columns is None else columns)
            needed.update([] if predicate is None else predicate.meta.root_names())
            for batch in read(self._files.paths, self._survey, needed or list(schema)[:1]):
                part = batch if left is None else batch.head(left)
                left = None if left is None else left - part.height
                part = part if predicate is None else part.filter(predicate)
                yield part if columns is None else part.select(columns)
                if left == 0:
                    return

        return register_io_source(source, schema=schema)

    def _condition(self) -> pl.Expr:
        """`where` as an expression. Raises DatasetError."""
        mistakes = self._check_where()
        if mistakes:
            raise DatasetError(mistakes)
        return pl.sql_expr(self._where or "true")

    def _check_where(self) -> list[Mistake]:
        """Tries the condition on one row of nulls."""
        if self._where is None or not self._survey.schema:
            return []
        try:
            condition = pl.sql_expr(self._where)
            unknown = [name for name in condition.meta.root_names() if name not in self._survey.schema]
            if unknown:
                problem = ids.missing(unknown[0], self._survey.schema)
            else:
                pl.DataFrame(schema=self._survey.schema).clear(1).filter(condition)
                return []
        except pl.exceptions.PolarsError as error:
            problem = f"not a condition over the columns: {_first_line(error)}"
        return [Mistake(message=problem, key="input.where")]

    def _check_id(self, column: str, findings: Findings) -> None:
        schema = self._survey.schema
        if not schema:
            return
        if column not in schema:
            findings.add(Mistake(message=ids.missing(column, schema), key="input.id"))
            return
        wrong_type = ids.mistake_of_type(column, schema[column])
        if wrong_type:
            findings.add(wrong_type)
            return
        numbered = self._everything().with_row_index(_unused(schema))
        rows = numbered if self._where is None else numbered.filter(self._condition())
        ids.check(
            rows.select(pl.col(_unused(schema)).alias(ids.ROW), pl.col(column).alias(ids.NAME)),
            column,
            self._survey.places,
            findings,
        )


def _unused(schema: pl.Schema) -> str:
    """A name that no column has."""
    name = "#"
    while name in schema:
        name += "#"
    return name


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _not_a_chat_request(row: JsonObject) -> str | None:
    """What keeps a line of an OpenAI batch input file from being a chat request."""
    if row.get("url") not in (None, CHAT_URL):
        return f"only {CHAT_URL} can be asked, not {row['url']!r}"
    if row.get("method") not in (None, "POST"):
        return f"the method must be POST, not {row['method']!r}"
    body = row.get("body")
    if not isinstance(body, dict):
        return "`body` must be an object with `messages`"
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        return "`body.messages` must be a list of messages"
    return None if "custom_id" in row else "`custom_id` is missing"
