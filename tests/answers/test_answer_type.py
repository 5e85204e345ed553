"""Numbers that the answer's column can't hold are no answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from batchfree.answers import Answer, AnswerRule, read
from batchfree.core.chat import Completion, Failure, Kind

LARGE = 2**63
INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}


def row_of(inner: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"n": inner, "t": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "value", "is_answer"),
    [
        (INTEGER, LARGE - 1, True),
        (INTEGER, -LARGE, True),
        (INTEGER, LARGE, False),
        (INTEGER, -LARGE - 1, False),
        (INTEGER, 10**400, False),
        (NUMBER, 2**53 + 1, False),
        (NUMBER, 10**400, False),
        (NUMBER, LARGE, True),
        (NUMBER, 1e300, True),
        (row_of(INTEGER), {"n": LARGE, "t": "x"}, False),
        (row_of({"type": "array", "items": INTEGER}), {"n": [1, LARGE]}, False),
        (row_of({"type": ["integer", "null"]}), {"n": None}, True),
        (row_of({}), {"n": LARGE}, True),  # the column holds this part as JSON text
        ({"type": "object"}, {"n": LARGE}, True),
        (row_of({"anyOf": [INTEGER, {"type": "string"}]}), {"n": LARGE}, True),
    ],
)
def test_a_number_is_an_answer_if_its_column_can_hold_it(schema: dict[str, Any], value: Any, is_answer: bool) -> None:
    completion = Completion(model="m/a:free", content=json.dumps(value))
    result = read(completion, AnswerRule(schema=schema))
    if is_answer:
        assert isinstance(result, Answer)
        assert result.value == value
    else:
        assert isinstance(result, Failure)
        assert result.kind is Kind.BAD_ANSWER
        assert "too large to be kept exactly" in result.message
