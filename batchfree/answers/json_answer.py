"""A JSON value as an answer: checked against the schema, with mistakes in words that tell a model what to change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import cast

from jsonschema.exceptions import ValidationError

from batchfree.answers.answer_type import beyond_column
from batchfree.answers.check_steps import Steps, TooManyStepsError
from batchfree.answers.non_answers import is_verdict_value
from batchfree.answers.rule import SAFETY_VERDICT, Answer, bad_answer
from batchfree.answers.schema_check import find_mistake
from batchfree.answers.strict_json import schema_text
from batchfree.core.chat import Failure, Json, JsonObject

MAX_MESSAGE_CHARACTERS = 200
TOO_LONG = bad_answer("checking it against the schema takes too long; give a shorter value")


def check_value(
    value: Json, schema: JsonObject, *, repaired: bool = False, steps: Steps | None = None
) -> Answer | Failure:
    """The value as an answer if it satisfies the schema, else what is wrong with it.

    `steps` are those that are left for the whole reply, if it holds several values.
    """
    if steps is not None and steps.left <= 0:
        return TOO_LONG
    try:
        if is_verdict_value(value, names_in(schema)) and not isinstance(value, str):
            return SAFETY_VERDICT
        error = find_mistake(value, schema, steps)
    except RecursionError:
        return bad_answer("it is nested too deeply to be checked")
    except TooManyStepsError:
        return TOO_LONG
    return Answer(value=value, repaired=repaired) if error is None else bad_answer(_sentence(error))


def check_answer(
    value: Json, schema: JsonObject, *, repaired: bool = False, steps: Steps | None = None
) -> Answer | Failure:
    """The value as an answer if it satisfies the schema and its column can hold it, else what is wrong with it.

    `steps` as for `check_value`.
    """
    result = check_value(value, schema, repaired=repaired, steps=steps)
    problem = beyond_column(value, schema) if isinstance(result, Answer) else None
    return result if problem is None else bad_answer(problem)


def names_in(schema: Json) -> frozenset[str]:
    """The names of all properties in a schema."""
    return _names_in(schema_text(schema))


@lru_cache(maxsize=64)
def _names_in(schema: str) -> frozenset[str]:
    return frozenset(_names(json.loads(schema)))


def _names(schema: Json) -> Iterator[str]:
    if isinstance(schema, dict):
        properties, required = schema.get("properties"), schema.get("required")
        yield from properties if isinstance(properties, dict) else ()
        yield from (name for name in required if isinstance(name, str)) if isinstance(required, list) else ()
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _names(each)


def _sentence(error: ValidationError) -> str:
    """What is wrong and where, in words that tell a model what to change."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    instance: Json = error.instance
    match error.validator:
        case "type":
            kinds: Json = error.validator_value
            expected = " or ".join(kinds) if isinstance(kinds, list) else kinds
            message = f"expected {expected}, got {_kind(instance)} {_shown(instance)}"
        case "required":
            missing = [repr(name) for name in list(cast(Json, error.validator_value)) if name not in instance]
            message = f"missing {'property' if len(missing) == 1 else 'properties'} {', '.join(missing)}"
        case "enum":
            message = f"expected one of {_shown(error.validator_value)}, got {_shown(instance)}"
        case _:
            message = error.message
    message = message if len(message) <= MAX_MESSAGE_CHARACTERS else message[: MAX_MESSAGE_CHARACTERS - 1] + "…"
    return f"at {place}: {message}" if place else message


def _kind(value: Json) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "")


def _shown(value: Json) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"
