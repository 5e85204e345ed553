"""JSON in a model's text: found, mended where its syntax is broken, and checked against a JSON Schema (draft 2020-12).

Half a JSON value is never an answer: brackets that were opened and not closed are not mended. Mending may only change
punctuation; a mended value with a letter or digit more or less is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import json_repair
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match
from referencing import Registry

from batchfree.answers.markup import fenced
from batchfree.answers.non_answers import is_verdict_value
from batchfree.answers.rule import SAFETY_VERDICT, Answer, bad_answer
from batchfree.answers.strict_json import NotJson, brackets, canonical, parse
from batchfree.core.chat import Failure, Json, JsonObject

MAX_MENDED_CHARACTERS = 200_000
MAX_MESSAGE_CHARACTERS = 200
UNICODE_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
ESCAPE = re.compile(r"\\[nrtbf]")
TRAILING_ZEROS = re.compile(r"(\.\d*?)0+(?!\d)")
CUT_OFF = "the JSON breaks off before it is closed"


def read_json(text: str, schema: JsonObject, *, repair: bool) -> Answer | Failure:
    """The one JSON value in the text that satisfies the schema, or why there is none. `repair` allows mending."""
    try:
        return _whole(parse(text), schema, repair=repair)
    except NotJson:
        pass
    found = brackets(text)
    if found.unclosed is not None and not fenced(text):
        return bad_answer(CUT_OFF)
    pieces = dict.fromkeys(piece.strip() for piece in [*(text[span] for span in found.spans), *fenced(text)])
    results = [_piece(piece, schema, repair=repair) for piece in pieces]
    fits = {canonical(each.value): each for each in results if isinstance(each, Answer)}
    if len(fits) == 1:
        return next(iter(fits.values()))
    if fits:
        return bad_answer(f"it holds {len(fits)} different JSON values that fit; give exactly one")
    failures = [each for each in results if isinstance(each, Failure)]
    return failures[-1] if failures else bad_answer(CUT_OFF if found.unclosed is not None else "it holds no JSON value")


def check_value(value: Json, schema: JsonObject, *, repaired: bool = False) -> Answer | Failure:
    """The value as an answer if it satisfies the schema, else what is wrong with it."""
    if is_verdict_value(value, names_in(schema)) and not isinstance(value, str):
        return SAFETY_VERDICT
    try:
        error = best_match(_validator(canonical(schema)).iter_errors(value))
    except RecursionError:
        return bad_answer("it is nested too deeply to be checked")
    return Answer(value=value, repaired=repaired) if error is None else bad_answer(_sentence(error))


def _whole(value: Json, schema: JsonObject, *, repair: bool) -> Answer | Failure:
    """A reply that is one JSON value, as an answer. A string that breaks the schema is read as JSON once more."""
    result = check_value(value, schema)
    if isinstance(result, Failure) and isinstance(value, str) and repair:
        try:
            inner = parse(value)
        except NotJson:
            return result
        if not isinstance(inner, str):
            return check_value(inner, schema, repaired=True)
    return result


def _piece(piece: str, schema: JsonObject, *, repair: bool) -> Answer | Failure | None:
    """A part of a text as an answer; None if it is not JSON, or if it repeats the schema."""
    try:
        value, repaired = parse(piece), False
    except NotJson as error:
        mended = mend(piece) if repair and error.mendable else None
        if mended is None:
            return bad_answer(str(error)) if piece[:1] in "{[" else None
        value, repaired = mended.value, True
    return None if value == schema else check_value(value, schema, repaired=repaired)


@dataclass(frozen=True, slots=True)
class Mended:
    """The value of a JSON text whose syntax was mended; a value of its own may be None."""

    value: Json


def mend(text: str) -> Mended | None:
    """The value of a JSON text with broken syntax; None if its brackets are not closed, or if more than punctuation has
    to change."""
    if len(text) > MAX_MENDED_CHARACTERS or not _is_closed(text):
        return None
    try:
        value = json_repair.loads(text, skip_json_loads=True)
        shown = json.dumps(value, ensure_ascii=False)
        invented = shown.count('""') > text.count('""') + text.count("''")
        return Mended(parse(shown)) if not invented and _letters(shown) == _letters(text) else None
    except (ValueError, RecursionError):
        return None


def _is_closed(text: str) -> bool:
    found = brackets(text)
    return found.unclosed is None and (len(found.spans) == 1 or text[:1] not in "{[")


def _letters(text: str) -> str:
    """The letters and digits of a JSON text in order, in lower case; Python's `None` counts as `null`."""
    text = ESCAPE.sub("", UNICODE_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text.replace("\\\\", "")))
    kept = "".join(letter for letter in TRAILING_ZEROS.sub(r"\1", text) if letter.isalnum())
    return kept.casefold().replace("none", "null")


def names_in(schema: Json) -> frozenset[str]:
    """The names of all properties in a schema."""
    return _names_in(canonical(schema))


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


@lru_cache(maxsize=64)
def _validator(schema: str) -> Draft202012Validator:
    """A validator that follows references within the schema only, so it never fetches anything."""
    registry: Registry[Json] = Registry()
    return Draft202012Validator(json.loads(schema), registry=registry)


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
