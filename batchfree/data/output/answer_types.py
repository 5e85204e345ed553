"""The type of answers → the type of the column `answer`, and values that fit it."""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl

from batchfree.answers.answer_type import INT64, AnswerType
from batchfree.core.chat import Json

SCALARS: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
}


def dtype_of(answer: AnswerType) -> pl.DataType:
    """The Polars type of answers."""
    if answer.item is not None:
        return pl.List(dtype_of(answer.item))
    if answer.fields is not None:
        return pl.Struct([pl.Field(name, dtype_of(each)) for name, each in answer.fields.items()])
    return SCALARS.get(answer.kind, pl.String())


def fit_value(value: Json, answer: AnswerType) -> Json:
    """The value as its column holds it; None if the column can't hold it, such as a whole number beyond 64 bits."""
    if value is None:
        return None
    if answer.kind == "json":
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if answer.item is not None:
        item = answer.item
        return [fit_value(each, item) for each in value] if isinstance(value, list) else None
    if answer.fields is not None:
        if not isinstance(value, dict):
            return None
        return {name: fit_value(value.get(name), inner) for name, inner in answer.fields.items()}
    return _fit_scalar(value, answer.kind)


def _fit_scalar(value: Json, kind: str) -> Json:
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if kind == "boolean" or isinstance(value, bool):
        return value if kind == "boolean" and isinstance(value, bool) else None
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value) if kind == "number" else int(value)
    except (OverflowError, ValueError):
        return None
    return number if kind == "number" or -INT64 <= number < INT64 else None
