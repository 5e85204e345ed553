"""From the JSON Schema of answers to the type of their column.

No column type can express some parts of a schema: open objects, unions, a schema within itself. These parts become JSON
text. A number that its column can't hold exactly is no answer, since the table could not show it unchanged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from batchfree.answers.strict_json import schema_text
from batchfree.core.chat import Json, JsonObject

SCALARS = ("string", "integer", "number", "boolean")
OPEN = ("patternProperties", "propertyNames", "unevaluatedProperties", "dependentSchemas", "if", "not")
INT64 = 1 << 63
"""A column of integers holds -2^63 to 2^63 - 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerType:
    """The type of answers. `kind` is a JSON type, or "json" for JSON text."""

    kind: str
    item: AnswerType | None = None
    fields: Mapping[str, AnswerType] | None = None


TEXT = AnswerType(kind="string")
JSON_TEXT = AnswerType(kind="json")


def answer_type_of(schema: JsonObject) -> AnswerType:
    """The type of the answers that satisfy a schema."""
    return _type_of_schema(schema, schema, ())


def beyond_column(value: Json, schema: JsonObject) -> str | None:
    """A clause about a number that its column can't hold exactly; None if there is none.

    `value` is an answer that satisfies the schema.
    """
    number = _beyond(value, _cached_type(schema_text(schema)))
    return None if number is None else f"the number {number:.30} is too large to be kept exactly; give a smaller one"


@lru_cache(maxsize=8)
def _cached_type(schema: str) -> AnswerType:
    return answer_type_of(json.loads(schema))


def _beyond(value: Json, answer: AnswerType) -> str | None:
    if isinstance(value, list) and answer.item is not None:
        inner = ((each, answer.item) for each in value)
    elif isinstance(value, dict) and answer.fields is not None:
        inner = ((each, answer.fields[key]) for key, each in value.items() if key in answer.fields)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return None if _is_held(value, answer.kind) else str(value)
    else:
        return None
    return next((number for each, form in inner if (number := _beyond(each, form)) is not None), None)


def _is_held(value: float, kind: str) -> bool:
    if kind == "integer":
        return -INT64 <= value < INT64
    if kind == "number" and isinstance(value, int):
        try:
            return int(float(value)) == value
        except OverflowError:
            return False
    return True


def _type_of_schema(schema: Json, document: JsonObject, inside: tuple[str, ...]) -> AnswerType:
    if not isinstance(schema, dict) or any(key in schema for key in OPEN):
        return JSON_TEXT
    if "$ref" in schema:
        reference = schema["$ref"]
        found = _resolve(reference, document)
        if found is None or reference in inside:
            return JSON_TEXT
        return _type_of_schema(found, document, (*inside, reference))
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return _of_choices(key, schema, document, inside)
    return _of_type(_type_of(schema), schema, document, inside)


def _of_choices(key: str, schema: JsonObject, document: JsonObject, inside: tuple[str, ...]) -> AnswerType:
    """The type of `anyOf` and the like: the type of the choices without `null`, if all have the same type."""
    choices = schema[key] if isinstance(schema[key], list) else []
    choices = [each for each in choices if not (isinstance(each, dict) and each.get("type") == "null")]
    types = [_type_of_schema(each, document, inside) for each in choices]
    alike = types and all(each == types[0] for each in types[1:])
    has_own_shape = any(word in schema for word in ("properties", "items", "enum"))
    return types[0] if alike and not has_own_shape and (key != "allOf" or len(types) == 1) else JSON_TEXT


def _type_of(schema: JsonObject) -> str | None:
    """The one JSON type besides null; None if there are several."""
    if "type" in schema:
        given = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    elif "enum" in schema or "const" in schema:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        given = [_json_type(value) for value in values]
    else:
        given = ["object"] if "properties" in schema else ["array"] if "items" in schema else []
    types = {each for each in given if each != "null"}
    if types == {"integer", "number"}:
        return "number"
    return types.pop() if len(types) == 1 else None


def _json_type(value: Json) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _of_type(kind: str | None, schema: JsonObject, document: JsonObject, inside: tuple[str, ...]) -> AnswerType:
    if kind is not None and kind in SCALARS:
        return AnswerType(kind=kind)
    if kind == "array" and isinstance(schema.get("items"), dict) and "prefixItems" not in schema:
        return AnswerType(kind="array", item=_type_of_schema(schema["items"], document, inside))
    properties = schema.get("properties")
    is_closed = schema.get("additionalProperties", False) is False
    if kind == "object" and isinstance(properties, dict) and properties and is_closed:
        return AnswerType(
            kind="object", fields={name: _type_of_schema(each, document, inside) for name, each in properties.items()}
        )
    return JSON_TEXT


def _resolve(reference: Json, document: JsonObject) -> Json:
    """The schema that a reference such as `#/$defs/x` names; None if it names none."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Json = document
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return found
