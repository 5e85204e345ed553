"""Answers are checked against a schema in bounded time, and as JSON Schema says."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from batchfree.answers import packs
from batchfree.answers.json_answer import TOO_LONG, check_value
from batchfree.answers.read_json import read_json
from batchfree.answers.rule import Answer, AnswerRule
from batchfree.answers.schema_check import find_mistake
from batchfree.core.chat import Completion, Failure, Kind

LIST = {"type": "array", "items": {"$ref": "#"}}
TREE = {"anyOf": [{"type": "integer"}, {**LIST, "minItems": 1}, {**LIST, "maxItems": 9}]}


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


SLOW: dict[str, tuple[Any, Any]] = {
    "pattern": ({"pattern": "^(a+)+$"}, "a" * 30_000 + "!"),
    "patternProperties": ({"patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}, {"a" * 5000 + "!": 1}),
    "uniqueItems": ({"uniqueItems": True}, [{"a": n} for n in range(8_000)]),
    "enum": ({"items": {"enum": [f"label {n}" for n in range(5_000)]}}, [f"label {n}" for n in range(5_000)]),
    "recursive anyOf": (TREE, nested(60)),
    "unevaluatedProperties": (
        {"anyOf": [{"required": ["a"]}, True], "unevaluatedProperties": {"type": "integer"}},
        {str(n): n for n in range(20_000)},
    ),
}


@pytest.mark.parametrize("name", SLOW)
def test_no_schema_holds_the_run(name: str) -> None:
    schema, value = SLOW[name]
    began = time.process_time()
    check_value(value, schema)
    assert time.process_time() - began < 3


def test_a_check_without_end_is_a_bad_answer() -> None:
    result = check_value(nested(60), TREE)
    assert result is TOO_LONG
    assert isinstance(result, Failure)
    assert result.kind is Kind.BAD_ANSWER


def a_reply(content: str) -> Completion:
    return Completion(model="some/model:free", content=content, finish_reason="stop")


def test_the_rows_of_a_pack_share_the_steps_of_its_reply() -> None:
    """Each value takes 30,000 steps, so ten are checked and all others fail at once."""
    codes = [f"a{number:03}" for number in range(25)]
    content = json.dumps(dict.fromkeys(codes, [1] * 15_000))
    rule = AnswerRule(schema={"type": "array", "items": {"type": "integer", "minimum": 0}})
    results = list(packs.read(a_reply(content), codes, rule).results.values())
    answered = sum(isinstance(each, Answer) for each in results)
    assert 5 < answered < 12
    assert [each for each in results if each is not TOO_LONG] == results[:answered]


@pytest.mark.parametrize("is_pack", [False, True])
def test_many_values_for_one_row_are_not_all_checked_against_a_large_schema(is_pack: bool) -> None:
    schema = {"type": "object", "properties": {f"k{n}": {"type": "string"} for n in range(500)}, "required": ["k0"]}
    values = [f'{{"a": {number}}}' for number in range(10_000)]
    began = time.process_time()
    if is_pack:
        content = ",".join(f'"a000": {each}' for each in values)
        packs.read(a_reply(f"{{{content}}}"), ["a000"], AnswerRule(schema=schema))
    else:
        assert read_json(" ".join(values), schema, repair=True) is TOO_LONG
    assert time.process_time() - began < 4, "all of them took 7 s"


@pytest.mark.parametrize(
    ("step", "multiples", "others"),
    [
        (0.1, [0, 0.3, 1.1, 10**400, "no number", True], [0.25, 1e-320]),
        (0.01, [19.99, -0.07, 10**400], [0.005]),
        (1e-320, [1, 1e308, 10**400], []),
        (3, [3.0, 3 * 10**400], [10**400, 1e308 + 0.5]),
        (10**400, [0, 10**401], [1e308, 7]),
    ],
)
def test_multiples_are_exact_for_numbers_of_any_size(step: float, multiples: list[Any], others: list[Any]) -> None:
    for value in multiples:
        assert find_mistake(value, {"multipleOf": step}) is None, value
    for value in others:
        assert find_mistake(value, {"multipleOf": step}) is not None, value


CHECKED: list[tuple[Any, list[Any]]] = [
    ({"enum": [1, "a", None, {"b": 1}]}, [1, 1.0, True, "a", None, {"b": 1.0}, {"b": True}, "A"]),
    ({"uniqueItems": True}, [[], [1, 1.0], [1, True], [{"a": 1}, {"a": 1}], [{"a": 1}, {"a": 2}], [[1], [1.0]], "aa"]),
    ({"uniqueItems": False}, [[1, 1]]),
    ({"pattern": r"^\d{4}-\d{2}$"}, ["2026-11", "2026-1", "x2026-11", 5, "2026-11\n"]),
    (
        {"properties": {"a": {}}, "patternProperties": {"^x": {"type": "string"}}, "additionalProperties": False},
        [{"a": 1}, {"x1": "s"}, {"x1": 5}, {"b": 1}, {}, []],
    ),
    ({"additionalProperties": {"type": "integer"}}, [{"a": 1}, {"a": "b"}]),
    ({"properties": {"a": {}}, "unevaluatedProperties": False}, [{"a": 1}, {"b": 1}]),
    ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, ["a", 1]),
]


@pytest.mark.parametrize(("schema", "values"), CHECKED, ids=[json.dumps(schema)[:40] for schema, _ in CHECKED])
def test_the_check_agrees_with_jsonschema(schema: Any, values: list[Any]) -> None:
    for value in values:
        expected = Draft202012Validator(schema).is_valid(value)
        if value == "2026-11\n":
            expected = False  # `$` is the end of the text, as in ECMAScript; Python's matches before a line break too
        assert (find_mistake(value, schema) is None) is expected, value


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/nowhere"},
        {"type": "strange"},
        {"pattern": "(?=a)"},
        {"properties": 5},
        {"patternProperties": {"^(a+)+$": {}}, "unevaluatedProperties": False},
    ],
)
def test_a_broken_schema_of_a_tool_checks_nothing(schema: Any) -> None:
    assert isinstance(check_value({"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!": 1}, schema), Answer)
