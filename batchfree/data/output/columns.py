"""batchfree's own columns of the output table: their names, their types, and where the values come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from batchfree.core.chat import Json
from batchfree.core.errors import Mistake, SpecError
from batchfree.core.text import without_surrogates
from batchfree.data.output.answer_types import TEXT, AnswerType, answer_type_of, fit_value
from batchfree.journal.attempts import Attempt, Outcome, QuestionState, Status

if TYPE_CHECKING:
    from batchfree.jobspec import JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAttempt:
    """A question's attempt that the table shows: the one that answered, else the last one that counted."""

    state: QuestionState
    attempt: Attempt
    outcome: Outcome

    @property
    def is_answer(self) -> bool:
        """Whether the question is answered."""
        return self.state.status is Status.OK

    @property
    def pack_size(self) -> int:
        """The number of rows in the request."""
        return len(self.attempt.outcomes)

    def share(self, total: int | None) -> int | None:
        """This row's part of a number of the whole request."""
        return share(total, self.pack_size, self.attempt.outcomes.index(self.outcome))


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column without the job's prefix; `default` stands where a row has no value."""

    name: str
    dtype: pl.DataType
    value: Callable[[ShownAttempt], Any]
    default: Json = None


TEXT_TYPE = pl.String()
STATUSES = pl.Enum([status.value for status in Status])
WHEN = pl.Datetime("ms", "UTC")

COLUMNS: Sequence[Column] = (
    Column(name="status", dtype=STATUSES, value=lambda row: row.state.status, default=Status.PENDING.value),
    Column(name="answer", dtype=TEXT_TYPE, value=lambda row: row.outcome.answer),
    Column(name="response", dtype=TEXT_TYPE, value=lambda row: row.attempt.content),
    Column(
        name="model",
        dtype=TEXT_TYPE,
        value=lambda row: None if row.attempt.content is None else row.attempt.model,
    ),
    Column(name="provider", dtype=TEXT_TYPE, value=lambda row: row.attempt.provider),
    Column(name="route", dtype=TEXT_TYPE, value=lambda row: row.attempt.route),
    Column(name="attempts", dtype=pl.UInt16(), value=lambda row: row.state.attempts, default=0),
    Column(name="models_tried", dtype=pl.List(TEXT_TYPE), value=lambda row: list(row.state.models_tried), default=[]),
    Column(name="error_kind", dtype=TEXT_TYPE, value=lambda row: None if row.is_answer else row.outcome.kind),
    Column(name="error", dtype=TEXT_TYPE, value=lambda row: None if row.is_answer else row.outcome.error),
    Column(name="finish_reason", dtype=TEXT_TYPE, value=lambda row: row.attempt.finish_reason),
    Column(name="prompt_tokens", dtype=pl.UInt32(), value=lambda row: row.share(row.attempt.prompt_tokens)),
    Column(name="completion_tokens", dtype=pl.UInt32(), value=lambda row: row.share(row.attempt.completion_tokens)),
    Column(name="cost", dtype=pl.Float64(), value=lambda row: row.attempt.cost / row.pack_size),
    Column(name="latency_s", dtype=pl.Float64(), value=lambda row: row.attempt.latency_s),
    Column(name="request_id", dtype=TEXT_TYPE, value=lambda row: row.attempt.request_id),
    Column(name="answered_at", dtype=WHEN, value=lambda row: row.attempt.at if row.is_answer else None),
    Column(name="pack_size", dtype=pl.UInt16(), value=lambda row: row.pack_size),
    Column(name="repaired", dtype=pl.Boolean(), value=lambda row: row.outcome.repaired),
)
"""Every column, in the order of the table. With `answer.schema` the type of `answer` follows the schema."""


def describe(state: QuestionState) -> Mapping[str, Any]:
    """A question's values by column name. Columns are left out where the question has had no attempt."""
    if state.shown is None or state.outcome is None:
        return {"status": state.status, "attempts": state.attempts}
    row = ShownAttempt(state=state, attempt=state.shown, outcome=state.outcome)
    return {column.name: column.value(row) for column in COLUMNS}


def share(total: int | None, parts: int, place: int) -> int | None:
    """The part of `total` for the row at `place` (from zero) of a pack of `parts` rows; the parts add up to `total`."""
    if total is None:
        return None
    return total // parts + (place < total % parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobColumn:
    """A column as one job writes it: its name with the prefix, its type, and the function that fits a value to it."""

    name: str
    column: Column
    dtype: pl.DataType
    fit: Callable[[Any], Any]

    def series(self, rows: Sequence[Mapping[str, Any]]) -> pl.Series:
        """The column's values for some rows, each given by column name."""
        default, fit, name = self.column.default, self.fit, self.column.name
        values = [default if (value := row.get(name)) is None else fit(value) for row in rows]
        return pl.Series(self.name, values, dtype=self.dtype)


def job_columns(spec: JobSpec) -> list[JobColumn]:
    """The columns that this job writes, in order."""
    answer = _answer_type(spec)
    columns = []
    for column in COLUMNS:
        dtype = answer.dtype if column.name == "answer" else column.dtype
        fit = _fit_answer(answer) if column.name == "answer" else _fit(dtype)
        columns.append(JobColumn(name=spec.output.prefix + column.name, column=column, dtype=dtype, fit=fit))
    return columns


def check_names(spec: JobSpec, schema: pl.Schema) -> None:
    """Refuses input columns that are named like columns of this job. Raises SpecError."""
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
    """Values that a column can't hold are cut to its range, or cleaned of lone surrogates."""
    if isinstance(dtype, pl.UInt16 | pl.UInt32):
        most = (1 << 16) - 1 if isinstance(dtype, pl.UInt16) else (1 << 32) - 1
        return lambda value: min(max(int(value), 0), most)
    if isinstance(dtype, pl.Float64):
        return float
    if isinstance(dtype, pl.String | pl.Enum):
        return lambda value: without_surrogates(str(value))
    return lambda value: value
