"""batchfree's own columns of the output table: their names, their types, and where the values come from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import polars as pl

from batchfree.answers.answer_type import TEXT, AnswerType, answer_type_of
from batchfree.core.chat import Json, Kind
from batchfree.core.errors import Mistake, SpecError
from batchfree.core.text import without_surrogates
from batchfree.data.output.answer_types import dtype_of, fit_value
from batchfree.journal.attempts import Attempt, Outcome, QuestionState, Status

if TYPE_CHECKING:
    from batchfree.jobspec import JobSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Consensus:
    """What the votes on a question came to. `shown` is its latest vote that agrees with the answer."""

    status: Status
    shown: tuple[Attempt, Outcome]
    agreement: float
    confidence: float
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAttempt:
    """A question's attempt that the table shows: the one that answered, else the last one that counted."""

    state: QuestionState
    attempt: Attempt
    outcome: Outcome
    consensus: Consensus | None = None
    """Set in a job that asks for votes, for a question that has one."""

    @property
    def status(self) -> Status:
        """The status of the row."""
        return self.state.status if self.consensus is None else self.consensus.status

    @property
    def is_answer(self) -> bool:
        """Whether the question is answered."""
        return self.status is Status.OK

    @property
    def answer(self) -> Json:
        """The answer; None while the row is not answered."""
        return self.outcome.answer if self.is_answer else None

    @property
    def error_kind(self) -> str | None:
        """Why the row has failed, or what its last failure was."""
        if self.consensus is not None:
            return Kind.TIED if self.status is Status.FAILED else None
        return None if self.is_answer else self.outcome.kind

    @property
    def error(self) -> str | None:
        """The sentence for `error_kind`."""
        if self.consensus is not None:
            return TIED if self.status is Status.FAILED else None
        return None if self.is_answer else self.outcome.error

    @property
    def votes(self) -> list[dict[str, str]] | None:
        """Every vote with the model that gave it; None without votes."""
        if self.consensus is None:
            return None
        return [
            {"model": attempt.model_or_route, "answer": as_text(outcome.answer)}
            for attempt, outcome in self.state.answers
        ]

    def total(self, of: Callable[[Attempt], int | None]) -> int | None:
        """This row's part of a number of the request; with votes the sum over all of them."""
        if self.consensus is None:
            return self.share(of(self.attempt))
        parts = [share(of(each), len(each.outcomes), each.outcomes.index(own)) for each, own in self.state.answers]
        return sum(part for part in parts if part is not None)

    @property
    def cost(self) -> float:
        """This row's part of the cost in USD; with votes the sum over all of them."""
        if self.consensus is None:
            return self.attempt.cost / self.pack_size
        return sum(each.cost / len(each.outcomes) for each, _ in self.state.answers)

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
    Column(name="status", dtype=STATUSES, value=lambda row: row.status, default=Status.PENDING.value),
    Column(name="answer", dtype=TEXT_TYPE, value=lambda row: row.answer),
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
    Column(name="error_kind", dtype=TEXT_TYPE, value=lambda row: row.error_kind),
    Column(name="error", dtype=TEXT_TYPE, value=lambda row: row.error),
    Column(name="finish_reason", dtype=TEXT_TYPE, value=lambda row: row.attempt.finish_reason),
    Column(name="prompt_tokens", dtype=pl.UInt32(), value=lambda row: row.total(attrgetter("prompt_tokens"))),
    Column(
        name="completion_tokens",
        dtype=pl.UInt32(),
        value=lambda row: row.total(attrgetter("completion_tokens")),
    ),
    Column(name="cost", dtype=pl.Float64(), value=lambda row: row.cost),
    Column(name="latency_s", dtype=pl.Float64(), value=lambda row: row.attempt.latency_s),
    Column(name="request_id", dtype=TEXT_TYPE, value=lambda row: row.attempt.request_id),
    Column(name="answered_at", dtype=WHEN, value=lambda row: row.attempt.at if row.is_answer else None),
    Column(name="pack_size", dtype=pl.UInt16(), value=lambda row: row.pack_size),
    Column(name="repaired", dtype=pl.Boolean(), value=lambda row: row.outcome.repaired),
)
"""The columns of every job, in the order of the table. With `answer.schema` the type of `answer` follows the schema."""

VOTE = pl.Struct({"model": TEXT_TYPE, "answer": TEXT_TYPE})
VOTE_COLUMNS: Sequence[Column] = (
    Column(name="votes", dtype=pl.List(VOTE), value=lambda row: row.votes, default=[]),
    Column(name="agreement", dtype=pl.Float64(), value=lambda row: row.consensus and row.consensus.agreement),
    Column(name="confidence", dtype=pl.Float64(), value=lambda row: row.consensus and row.consensus.confidence),
    Column(name="settled", dtype=pl.Boolean(), value=lambda row: row.consensus and row.consensus.settled),
)
"""More columns of a job with `votes` or `pilot`."""
SCORE_COLUMNS: Sequence[Column] = (Column(name="correct", dtype=pl.Boolean(), value=lambda row: None),)
"""More columns of a job with `evaluate`. Their values depend on the input's row, so `describe` leaves them empty."""
TIED = "the best answers have equally many votes, and no further vote may be asked for"


def columns_of(spec: JobSpec) -> Sequence[Column]:
    """The columns of a job, in the order of the table."""
    return (*COLUMNS, *(VOTE_COLUMNS if spec.asks_votes else ()), *(SCORE_COLUMNS if spec.expected else ()))


def as_text(answer: Json) -> str:
    """An answer as one vote of the column `votes`: a text as it is, else JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def describe(state: QuestionState, consensus: Consensus | None = None) -> Mapping[str, Any]:
    """A question's values by column name. Columns are left out where the question has had no attempt."""
    if state.shown is None or state.outcome is None:
        return {"status": state.status, "attempts": state.attempts}
    attempt, outcome = (state.shown, state.outcome) if consensus is None else consensus.shown
    row = ShownAttempt(state=state, attempt=attempt, outcome=outcome, consensus=consensus)
    columns = COLUMNS if consensus is None else (*COLUMNS, *VOTE_COLUMNS)
    return {column.name: column.value(row) for column in columns}


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
    for column in columns_of(spec):
        dtype = dtype_of(answer) if column.name == "answer" else column.dtype
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
