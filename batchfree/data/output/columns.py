"""batchfree's own columns of the output table: their names, their types, and series of their values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from batchfree.answers.answer_type import TEXT, AnswerType, answer_type_of
from batchfree.core.chat import Json
from batchfree.core.errors import Mistake, SpecError
from batchfree.core.text import without_surrogates
from batchfree.data.output.answer_types import dtype_of, fit_value
from batchfree.journal.attempts import Status

if TYPE_CHECKING:
    from batchfree.jobspec import JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column without the job's prefix; `default` is the value of a row that has none."""

    name: str
    dtype: pl.DataType
    default: Json = None


TEXT_TYPE = pl.String()
STATUSES = pl.Enum([status.value for status in Status])
WHEN = pl.Datetime("ms", "UTC")
TEXT_LIST = pl.List(TEXT_TYPE)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

COLUMNS: Sequence[Column] = (
    Column(name="status", dtype=STATUSES, default=Status.PENDING.value),
    Column(name="answer", dtype=TEXT_TYPE),
    Column(name="response", dtype=TEXT_TYPE),
    Column(name="model", dtype=TEXT_TYPE),
    Column(name="provider", dtype=TEXT_TYPE),
    Column(name="route", dtype=TEXT_TYPE),
    Column(name="attempts", dtype=pl.UInt16(), default=0),
    Column(name="models_tried", dtype=TEXT_LIST, default=[]),
    Column(name="error_kind", dtype=TEXT_TYPE),
    Column(name="error", dtype=TEXT_TYPE),
    Column(name="finish_reason", dtype=TEXT_TYPE),
    Column(name="prompt_tokens", dtype=pl.UInt32()),
    Column(name="completion_tokens", dtype=pl.UInt32()),
    Column(name="cost", dtype=pl.Float64()),
    Column(name="latency_s", dtype=pl.Float64()),
    Column(name="request_id", dtype=TEXT_TYPE),
    Column(name="answered_at", dtype=WHEN),
    Column(name="pack_size", dtype=pl.UInt16()),
    Column(name="repaired", dtype=pl.Boolean()),
)
"""The columns of every job, in the order of the table. With `answer.schema` the type of `answer` follows the schema."""

VOTE = pl.Struct({"model": TEXT_TYPE, "answer": TEXT_TYPE})
VOTE_COLUMNS: Sequence[Column] = (
    Column(name="votes", dtype=pl.List(VOTE), default=[]),
    Column(name="agreement", dtype=pl.Float64()),
    Column(name="confidence", dtype=pl.Float64()),
    Column(name="settled", dtype=pl.Boolean()),
)
"""Further columns of a job with `votes` or `pilot`."""
SCORE_COLUMNS: Sequence[Column] = (Column(name="correct", dtype=pl.Boolean()),)
"""Further columns of a job with `evaluate`. Their values depend on the input's row, so `describe` leaves them out."""


PART_COLUMNS: Sequence[Column] = (Column(name="row", dtype=pl.UInt64()),)
"""A further column in a folder of parts: the number of the row in the input, from zero. `table` fills it in."""


def columns_of(spec: JobSpec) -> Sequence[Column]:
    """The columns of a job, in the order of the table."""
    numbers = () if spec.output.folder is None else PART_COLUMNS
    return (*numbers, *COLUMNS, *(VOTE_COLUMNS if spec.asks_votes else ()), *(SCORE_COLUMNS if spec.expected else ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobColumn:
    """A column as one job writes it: its name with the prefix, its type, and the function that fits a value to it."""

    name: str
    column: Column
    dtype: pl.DataType
    fit: Callable[[Any], Any]
    must_fit: bool
    """Whether every value goes through `fit`. In other columns nearly all values are of the right type already."""

    def series(self, values: Sequence[Any]) -> pl.Series:
        """The column with these values; a None stands for the default."""
        default, fit = self.column.default, self.fit
        if default is not None:
            values = [default if value is None else value for value in values]
        if not self.must_fit:
            try:
                return _series(self.name, values, self.dtype)
            except (TypeError, ValueError, OverflowError):  # Polars refuses what is not of the type
                pass
        return pl.Series(self.name, [None if value is None else fit(value) for value in values], dtype=self.dtype)


def _series(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    """A series of values of the right type. Lists and times are converted here, because Polars converts them slowly."""
    if dtype == TEXT_LIST:
        places: dict[tuple[str, ...], int] = {}
        numbers = [places.setdefault(tuple(value), len(places)) for value in values]
        return pl.Series(name, list(map(list, places)), dtype=dtype).gather(numbers)
    if dtype == WHEN:
        since = [None if value is None else value - EPOCH for value in values]
        return pl.Series(name, since, dtype=pl.Duration("us")).to_physical().cast(pl.Datetime("us", "UTC")).cast(dtype)
    return pl.Series(name, values, dtype=dtype)


def job_columns(spec: JobSpec) -> list[JobColumn]:
    """The columns that this job writes, in order."""
    answer = _answer_type(spec)
    columns = []
    for column in columns_of(spec):
        is_answer = column.name == "answer"
        dtype = dtype_of(answer) if is_answer else column.dtype
        fit = _fit_answer(answer) if is_answer else _fit(dtype)
        name, must_fit = spec.output.prefix + column.name, is_answer and answer is not TEXT
        columns.append(JobColumn(name=name, column=column, dtype=dtype, fit=fit, must_fit=must_fit))
    return columns


def check_names(spec: JobSpec, schema: pl.Schema) -> None:
    """Raises SpecError if columns of the input have the names of columns of this job."""
    taken = [column.name for column in job_columns(spec) if column.name in schema]
    if taken:
        other = "another prefix" if spec.output.prefix else "a prefix such as bf_"
        names = ", ".join(f"`{name}`" for name in taken)
        message = f"the input has columns named like the job's own ({names}); set {other} for the job's columns"
        raise SpecError([Mistake(message=message, key="output.prefix")])


def _answer_type(spec: JobSpec) -> AnswerType:
    """The type of the column `answer`. With tools it is text even beside a schema, because tool calls are text."""
    schema = spec.answer.schema_
    return TEXT if schema is None or spec.request.get("tools") else answer_type_of(schema)


def _fit_answer(answer: AnswerType) -> Callable[[Any], Any]:
    return lambda value: fit_value(without_surrogates(value), answer)


def _fit(dtype: pl.DataType) -> Callable[[Any], Any]:
    """The function that fits a value to its column: it cuts numbers to the range, and replaces lone surrogates."""
    if isinstance(dtype, pl.UInt16 | pl.UInt32):
        most = (1 << 16) - 1 if isinstance(dtype, pl.UInt16) else (1 << 32) - 1
        return lambda value: min(max(int(value), 0), most)
    if isinstance(dtype, pl.Float64):
        return float
    if isinstance(dtype, pl.String | pl.Enum):
        return lambda value: without_surrogates(str(value))
    return lambda value: value
