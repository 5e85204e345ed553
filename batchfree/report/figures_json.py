"""The figures of a report as plain JSON data: what `report --json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from batchfree.core.chat import Json, JsonObject
from batchfree.core.text import iso, without_surrogates
from batchfree.quality.evaluation import Evaluation, Score
from batchfree.quality.intervals import LEAST_FOR_SHARE


def as_json(value: Any) -> Json:
    """A figure, or the whole report, as plain JSON data; times are ISO 8601."""
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, Evaluation):
        return {"overall": _score_json(value.overall), "models": {k: _score_json(v) for k, v in value.models.items()}}
    if is_dataclass(value) and not isinstance(value, Mapping):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return iso(value.timestamp())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_json(each) for each in value]
    return without_surrogates(value)


def _score_json(score: Score) -> JsonObject:
    is_shown = score.accuracy.is_shown
    return {
        "accuracy": score.accuracy.to_json(),
        "macro_f1": score.macro_f1 if is_shown else None,
        "macro_f1_interval": as_json(score.macro_f1_interval) if is_shown else None,
        "labels": [
            {
                "label": each.label,
                "precision": each.precision.to_json(),
                "recall": each.recall.to_json(),
                "rows": each.rows,
                "f1": each.f1 if each.rows >= LEAST_FOR_SHARE else None,
                "f1_interval": as_json(each.f1_interval) if each.rows >= LEAST_FOR_SHARE else None,
            }
            for each in score.labels
        ],
        "confusion": [
            {"expected": expected, "answer": answer, "rows": number}
            for (expected, answer), number in score.confusion.items()
        ],
    }
