"""From the JSON Schema of answers to the type of the column `answer`, and values that fit it.

What a column type can't say (open objects, unions, a schema within itself) is kept as JSON text at that place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from batchfree.core.chat import Json, JsonObject

SCALARS: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
}
OPEN = ("patternProperties", "propertyNames", "unevaluatedProperties", "dependentSchemas", "if", "not")
INT64 = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerType:
    """What a value becomes: `kind` is a JSON type, or "json" for JSON text."""

    kind: str
    item: AnswerType | None = None
    fields: Mapping[str, AnswerType] | None = None

    @property
    def dtype(self) -> pl.DataType:
        """The column type."""
        if self.item is not None:
            return pl.List(self.item.dtype)
        if self.fields is not None:
            return pl.Struct([pl.Field(name, form.dtype) for name, form in self.fields.items()])
        return SCALARS.get(self.kind, pl.String())


TEXT = AnswerType(kind="string")
JSON_TEXT = AnswerType(kind="json")


def answer_type_of(schema: JsonObject) -> AnswerType:
    """The form of the answers that satisfy a schema; references lead into the same document."""
    return _form(schema, schema, ())


def fit_value(value: Json, form: AnswerType) -> Json:
    """The value as its column takes it; None where it can't, as with a whole number beyond 64 bits."""
    if value is None:
        return None
    if form.kind == "json":
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if form.item is not None:
        item = form.item
        return [fit_value(each, item) for each in value] if isinstance(value, list) else None
    if form.fields is not None:
        if not isinstance(value, dict):
            return None
        return {name: fit_value(value.get(name), inner) for name, inner in form.fields.items()}
    return _fitted_scalar(value, form.kind)


def _fitted_scalar(value: Json, kind: str) -> Json:
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


def _form(schema: Json, document: JsonObject, inside: tuple[str, ...]) -> AnswerType:
    if not isinstance(schema, dict) or any(key in schema for key in OPEN):
        return JSON_TEXT
    if "$ref" in schema:
        reference = schema["$ref"]
        found = _resolve(reference, document)
        return JSON_TEXT if found is None or reference in inside else _form(found, document, (*inside, reference))
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return _of_choices(key, schema, document, inside)
    return _of_type(_type_of(schema), schema, document, inside)


def _of_choices(key: str, schema: JsonObject, document: JsonObject, inside: tuple[str, ...]) -> AnswerType:
    """One schema beside `null` is that schema; all choices alike are that choice."""
    choices = schema[key] if isinstance(schema[key], list) else []
    choices = [each for each in choices if not (isinstance(each, dict) and each.get("type") == "null")]
    forms = [_form(each, document, inside) for each in choices]
    alike = forms and all(form == forms[0] for form in forms[1:])
    has_own_shape = any(word in schema for word in ("properties", "items", "enum"))
    return forms[0] if alike and not has_own_shape and (key != "allOf" or len(forms) == 1) else JSON_TEXT


def _type_of(schema: JsonObject) -> str | None:
    """The one JSON type besides null; None where there are several."""
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
        return AnswerType(kind="array", item=_form(schema["items"], document, inside))
    properties = schema.get("properties")
    is_closed = schema.get("additionalProperties", False) is False
    if kind == "object" and isinstance(properties, dict) and properties and is_closed:
        return AnswerType(
            kind="object", fields={name: _form(each, document, inside) for name, each in properties.items()}
        )
    return JSON_TEXT


def _resolve(reference: Json, document: JsonObject) -> Json:
    """The schema that `#/…` means; None where it means none."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Json = document
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return found
