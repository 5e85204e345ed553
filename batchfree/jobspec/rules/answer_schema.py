"""Whether `answer.schema` is a JSON Schema (draft 2020-12) that answers can be checked against."""

from __future__ import annotations

from collections.abc import Iterator

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from batchfree.core.chat import Json, JsonObject
from batchfree.core.patterns import BadPatternError, compile_pattern
from batchfree.core.text import KeyPath, did_you_mean
from batchfree.jobspec.draft import Finding, shown

TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
MAX_MESSAGE_CHARACTERS = 160
MAX_DEPTH = 60

_DATA = {"const", "enum", "default", "examples", "example"}
_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else")
"""Keywords whose schemas apply to the same value as the schema around them."""


def schema_findings(schema: JsonObject) -> list[Finding]:
    """Every mistake that makes the schema unusable. The paths start at the top of the schema."""
    if _is_deeper(schema, MAX_DEPTH):
        return [Finding((), f"this schema is nested deeper than {MAX_DEPTH} levels; put parts of it under $defs")]
    validator = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    findings = [_finding(error) for error in validator.iter_errors(schema)]
    findings += list(_reference_findings(schema))
    if not findings and _endless(schema):
        findings.append(Finding((), "the `$ref`s of this schema lead in a circle, so no answer could satisfy it"))
    return findings


def _is_deeper(value: Json, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(inner) and (not levels or any(_is_deeper(each, levels - 1) for each in inner))


def _finding(error: Json) -> Finding:
    path = tuple(error.absolute_path)
    if path and path[-1] == "type" and not isinstance(error.instance, list):
        message = f"{shown(error.instance)} is no type of JSON Schema; expected one of {', '.join(TYPES)}"
        return Finding(path, message + did_you_mean(error.instance, TYPES))
    message = error.message[:MAX_MESSAGE_CHARACTERS] + ("…" if len(error.message) > MAX_MESSAGE_CHARACTERS else "")
    return Finding(path, f"this is not valid JSON Schema (draft 2020-12): {message}")


def _reference_findings(schema: JsonObject) -> Iterator[Finding]:
    """Mistakes in references, which must lead to a part of the schema, and in regular expressions."""
    lookup = _Lookup(schema)
    for path, part in _parts(schema, ()):
        for key in ("$ref", "$dynamicRef"):
            reference = part.get(key)
            if not isinstance(reference, str):
                continue
            if not reference.startswith("#"):
                message = "only references within the schema (#/…) are followed; copy the other schema under $defs"
                yield Finding((*path, key), message)
            elif lookup.target(reference) is None:
                yield Finding((*path, key), f"{shown(reference)} leads to nothing in this schema")
        patterns = part.get("patternProperties")
        texts = [part.get("pattern"), *(patterns if isinstance(patterns, dict) else ())]
        for text in texts:
            try:
                if isinstance(text, str):
                    compile_pattern(text)
            except BadPatternError as error:
                yield Finding(path, f"the pattern {shown(text)} is no valid regular expression: {error}")
    names = {name for _, part in _parts(schema, ()) for name in part}
    if {"patternProperties", "unevaluatedProperties"} <= names:
        message = "`patternProperties` and `unevaluatedProperties` together can't be checked in linear time"
        yield Finding((), f"{message}; write additionalProperties instead of unevaluatedProperties")


def _parts(value: Json, path: KeyPath) -> Iterator[tuple[KeyPath, JsonObject]]:
    """Every mapping inside the schema that may be a schema itself, with its path."""
    if isinstance(value, dict):
        yield path, value
        for key, inner in value.items():
            if key not in _DATA:
                yield from _parts(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _parts(inner, (*path, index))


class _Lookup:
    """Resolves references within one schema."""

    def __init__(self, schema: JsonObject) -> None:
        resource: Resource[Json] = DRAFT202012.create_resource(schema)
        identity = schema.get("$id")
        self._base = identity if isinstance(identity, str) else ""
        registry: Registry[Json] = Registry()
        self._registry = registry.with_resource(self._base, resource)

    def target(self, reference: str) -> Json:
        """The schema that a reference names; None if there is none."""
        try:
            return self._registry.resolver(self._base).lookup(reference).contents
        except (Unresolvable, ValueError, TypeError, KeyError, IndexError, AttributeError):
            return None


def _endless(schema: JsonObject) -> bool:
    """Whether the check of one value against the schema would never end."""
    lookup = _Lookup(schema)
    settled: set[int] = set()

    def circles(part: Json, above: frozenset[int]) -> bool:
        if not isinstance(part, dict) or id(part) in settled:
            return False
        if id(part) in above:
            return True
        inner = [part.get(key) for key in _IN_PLACE]
        inner = [one for each in inner for one in (each if isinstance(each, list) else [each])]
        references = [part.get(key) for key in ("$ref", "$dynamicRef")]
        inner += [lookup.target(reference) for reference in references if isinstance(reference, str)]
        found = any(circles(each, above | {id(part)}) for each in inner)
        settled.add(id(part))
        return found

    return any(circles(part, frozenset()) for _, part in _parts(schema, ()))
