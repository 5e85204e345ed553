"""batchfree's own columns: their names, their types, and a row's values made to fit them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from batchfree.core.chat import Json
from batchfree.core.errors import Mistake, SpecError
from batchfree.core.text import without_surrogates
from batchfree.data.output.answer_types import TEXT, AnswerType, answer_type_of, fit_value
from batchfree.journal.attempts import Status

if TYPE_CHECKING:
    from batchfree.jobspec import JobSpec

STATUSES = pl.Enum([status.value for status in Status])
TYPES: Mapping[str, pl.DataType] = {
    "status": STATUSES,
    "answer": pl.String(),  # or what answer.schema says
    "response": pl.String(),
    "model": pl.String(),
    "provider": pl.String(),
    "route": pl.String(),
    "attempts": pl.UInt16(),
    "models_tried": pl.List(pl.String()),
    "error_kind": pl.String(),
    "error": pl.String(),
    "finish_reason": pl.String(),
    "prompt_tokens": pl.UInt32(),
    "completion_tokens": pl.UInt32(),
    "cost": pl.Float64(),
    "latency_s": pl.Float64(),
    "request_id": pl.String(),
    "answered_at": pl.Datetime("ms", "UTC"),
    "pack_size": pl.UInt16(),
    "repaired": pl.Boolean(),
}
DEFAULTS: Mapping[str, Json] = {"status": Status.PENDING.value, "attempts": 0, "models_tried": []}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One of batchfree's columns: its name with the prefix, its type, and how a value is made to fit."""

    name: str
    field: str
    dtype: pl.DataType
    fit: Callable[[Any], Any]

    def series(self, rows: Sequence[Mapping[str, Any]]) -> pl.Series:
        """The column of some rows."""
        default, fit, field = DEFAULTS.get(self.field), self.fit, self.field
        values = [default if (value := row.get(field)) is None else fit(value) for row in rows]
        return pl.Series(self.name, values, dtype=self.dtype)


def columns(spec: JobSpec) -> dict[str, pl.DataType]:
    """The names and types of the columns that this job writes."""
    return {column.name: column.dtype for column in own_columns(spec)}


def own_columns(spec: JobSpec) -> list[Column]:
    """The columns that this job writes, in their order."""
    form = answer_form(spec)
    types = {**TYPES, "answer": form.dtype}
    return [
        Column(name=spec.output.prefix + field, field=field, dtype=dtype, fit=_fit(field, dtype, form))
        for field, dtype in types.items()
    ]


def answer_form(spec: JobSpec) -> AnswerType:
    """What stands in the column `answer`. A reply of tool calls is text, whatever else the job asks for."""
    schema = spec.answer.schema_
    if schema is None:
        return TEXT
    return TEXT if spec.request.get("tools") else answer_type_of(schema)


def check_names(spec: JobSpec, schema: pl.Schema) -> None:
    """Refuses input columns that are named like columns of this job. Raises SpecError."""
    taken = [name for name in columns(spec) if name in schema]
    if taken:
        other = "another prefix" if spec.output.prefix else "a prefix such as bf_"
        names = ", ".join(f"`{name}`" for name in taken)
        message = f"the input has columns named like the job's own ({names}); set {other} for those"
        raise SpecError([Mistake(message=message, key="output.prefix")])


def _fit(field: str, dtype: pl.DataType, form: AnswerType) -> Callable[[Any], Any]:
    if field == "answer":
        return lambda value: fit_value(without_surrogates(value), form)
    if isinstance(dtype, pl.UInt16 | pl.UInt32):
        most = (1 << 16) - 1 if isinstance(dtype, pl.UInt16) else (1 << 32) - 1
        return lambda value: min(max(int(value), 0), most)
    if isinstance(dtype, pl.Float64):
        return float
    if isinstance(dtype, pl.String | pl.Enum):
        return lambda value: without_surrogates(str(value))
    return lambda value: value
