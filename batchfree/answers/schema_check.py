"""Checks a value against a JSON Schema (draft 2020-12) in bounded time.

jsonschema alone may never finish: its patterns backtrack, `uniqueItems` and `enum` compare each value with each other,
and a `$ref` may lead back to itself in several ways. Here patterns are matched in linear time, values are compared by
keys, and every check has a limited number of steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import UnknownType, best_match
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from batchfree.answers.check_steps import MOST_STEPS, Steps
from batchfree.answers.strict_json import schema_text
from batchfree.core.chat import Json, JsonObject
from batchfree.core.patterns import BadPatternError, compile_pattern

SCHEMA_CHARACTERS = 200
"""Characters of a schema that take about as long as a step, whatever the value."""

Errors: TypeAlias = Iterator[ValidationError]
Keyword: TypeAlias = Callable[[Any, Json, Json, Json], Errors]


def find_mistake(value: Json, schema: JsonObject, reply: Steps | None = None) -> ValidationError | None:
    """The most important mistake in the value; None if the value satisfies the schema.

    `reply` holds the steps that are left for other values of the same reply. A tool may have a schema that is not
    valid; then every value satisfies it. Raises TooManyStepsError, and RecursionError for a value that is nested too
    deeply.
    """
    text, reply = schema_text(schema), reply or Steps()
    reply.take(1 + len(text) // SCHEMA_CHARACTERS)
    checker = _checker(text)
    checker.steps.left = allowed = min(MOST_STEPS, reply.left)
    try:
        mistake: ValidationError | None = best_match(checker.validator.iter_errors(value))
        return mistake
    except (Unresolvable, UnknownType, TypeError, ValueError, AttributeError, LookupError):
        return None
    finally:
        reply.left -= allowed - max(0, checker.steps.left)


def can_be_checked(schema: Json) -> bool:
    """Whether the check needs no pattern in Python's engine. jsonschema uses it for `unevaluatedProperties`."""
    names = set(_keywords(schema))
    return not {"patternProperties", "unevaluatedProperties"} <= names


def _keywords(schema: Json) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from schema
    for each in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _keywords(each)


class _Checker:
    """A validator and its steps. It follows references within the schema only, so it never fetches anything."""

    def __init__(self, schema: JsonObject) -> None:
        self.steps = Steps()
        self._enums: dict[int, frozenset[str]] = {}
        keywords = {**Draft202012Validator.VALIDATORS, **self._own()}
        if not can_be_checked(schema):  # a job file with such a schema is refused; a tool may have one
            del keywords["unevaluatedProperties"]
        counted = {name: self._counted(name, keyword) for name, keyword in keywords.items()}
        registry: Registry[Json] = Registry()
        kind: type[Validator] = validators.create(
            meta_schema=Draft202012Validator.META_SCHEMA,
            validators=counted,
            type_checker=Draft202012Validator.TYPE_CHECKER,
            id_of=Draft202012Validator.ID_OF,  # type: ignore[arg-type]
        )
        self.validator = kind(schema, registry=registry)

    def _counted(self, name: str, keyword: Keyword) -> Keyword:
        """The keyword with its steps counted: more for long messages, and if jsonschema compares each with each."""
        steps, is_quadratic = self.steps, name.startswith("unevaluated")

        def check(validator: Any, expected: Json, instance: Json, schema: Json) -> Errors:
            steps.take(1 + (len(instance) ** 2 // 1_000 if is_quadratic and isinstance(instance, list | dict) else 0))
            for error in keyword(validator, expected, instance, schema) or ():
                steps.take(len(error.message) // 100)
                yield error

        return check

    def _own(self) -> dict[str, Keyword]:
        return {
            "enum": self._enum,
            "multipleOf": _multiple_of,
            "uniqueItems": _unique_items,
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "additionalProperties": _additional_properties,
        }

    def _enum(self, validator: Any, enum: Json, instance: Json, schema: Json) -> Errors:
        keys = self._enums.get(id(enum))
        if keys is None:
            keys = self._enums[id(enum)] = frozenset(map(_key, enum))
        if _key(instance) not in keys:
            yield ValidationError(f"{instance!r} is not one of {enum!r}")


def _key(value: Json) -> str:
    """A text that is the same for values that JSON Schema calls equal: 1 equals 1.0, and differs from true."""
    return json.dumps(_normal(value), sort_keys=True)


def _normal(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_normal(each) for each in value]
    return {key: _normal(each) for key, each in value.items()} if isinstance(value, dict) else value


def _unique_items(validator: Any, wanted: Json, instance: Json, schema: Json) -> Errors:
    if wanted and isinstance(instance, list) and len(set(map(_key, instance))) < len(instance):
        yield ValidationError("it has non-unique elements")


def _multiple_of(validator: Any, step: Json, instance: Json, schema: Json) -> Errors:
    """Exact, also for fractions and huge numbers: 0.3 is a multiple of 0.1, though no float can show it."""
    if isinstance(instance, int | float) and not isinstance(instance, bool) and _exact(instance) % _exact(step):
        yield ValidationError(f"{instance!r} is not a multiple of {step!r}")


def _exact(number: float) -> Fraction:
    """The number as it is written."""
    return Fraction(number if isinstance(number, int) else repr(number))


def _found(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text. A tool's pattern that the engine refuses counts as found."""
    try:
        return compile_pattern(pattern)(text)
    except BadPatternError:
        return True


def _pattern(validator: Any, pattern: Json, instance: Json, schema: Json) -> Errors:
    if isinstance(instance, str) and not _found(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Json, instance: Json, schema: Json) -> Errors:
    if not isinstance(instance, dict):
        return
    for pattern, inner in patterns.items():
        for name, value in instance.items():
            if _found(pattern, name):
                yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, expected: Json, instance: Json, schema: Json) -> Errors:
    if not isinstance(instance, dict):
        return
    patterns = list(schema.get("patternProperties", ()))
    named = schema.get("properties", {})
    extras = [name for name in instance if name not in named and not any(_found(each, name) for each in patterns)]
    if isinstance(expected, dict):
        for name in extras:
            yield from validator.descend(instance[name], expected, path=name)
    elif not expected and extras:
        verb = "was" if len(extras) == 1 else "were"
        names = ", ".join(map(repr, extras))
        yield ValidationError(f"Additional properties are not allowed ({names} {verb} unexpected)")


@lru_cache(maxsize=64)
def _checker(schema: str) -> _Checker:
    return _Checker(json.loads(schema))
