"""JSON out of a model's text, mended where it must be, checked against a JSON Schema (draft 2020-12).

Half JSON never stands as an answer: what was opened and not closed is not mended. Mending may move punctuation and
nothing else: a letter or digit more or less, and the mended value is refused.
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

from batchfree.answers.markup import fenced, is_verdict_value
from batchfree.answers.rule import Answer, bad_answer
from batchfree.answers.strict_json import NotJson, brackets, canonical, parse
from batchfree.core.chat import Failure, Json, JsonObject, Kind

MAX_MENDED_CHARACTERS = 200_000
MAX_MESSAGE_CHARACTERS = 200
UNICODE_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
ESCAPE = re.compile(r"\\[nrtbf]")
IDLE_ZEROS = re.compile(r"(\.\d*?)0+(?!\d)")
CUT_OFF = "the JSON breaks off before it is closed"


def read_json(text: str, schema: JsonObject, *, repair: bool) -> Answer | Failure:
    """The one JSON value in `text` that satisfies `schema`, or why there is none."""
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
    """`value` as an answer if it satisfies `schema`."""
    if is_verdict_value(value, names_in(schema)) and not isinstance(value, str):
        return Failure(kind=Kind.NOT_CHAT, message="the reply is the verdict of a safety classifier")
    try:
        error = best_match(_validator(canonical(schema)).iter_errors(value))
    except RecursionError:
        return bad_answer("it is nested too deeply to be checked")
    return Answer(value=value, repaired=repaired) if error is None else bad_answer(_sentence(error))


def _whole(value: Json, schema: JsonObject, *, repair: bool) -> Answer | Failure:
    """The whole reply as an answer; JSON within a JSON text is taken out where a text does not fit."""
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
    """What a part of a text is; None where it is no JSON, or the schema itself said again."""
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
    """A value whose syntax was mended."""

    value: Json


def mend(text: str) -> Mended | None:
    """The value of a JSON text with broken syntax, if it is closed and only punctuation has to move."""
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
    """The letters and digits of a JSON text, in order; Python's `None` counts as `null`."""
    text = ESCAPE.sub("", UNICODE_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text.replace("\\\\", "")))
    kept = "".join(letter for letter in IDLE_ZEROS.sub(r"\1", text) if letter.isalnum())
    return kept.casefold().replace("none", "null")


def names_in(schema: Json) -> frozenset[str]:
    """Every name of a property that a schema speaks of."""
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
    """A validator that fetches nothing: references are followed within the schema."""
    registry: Registry[Json] = Registry()
    return Draft202012Validator(json.loads(schema), registry=registry)


def _sentence(error: ValidationError) -> str:
    """What is wrong and where, as a sentence that a model can act on."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    instance: Json = error.instance
    match error.validator:
        case "type":
            kinds: Json = error.validator_value
            expected = " or ".join(kinds) if isinstance(kinds, list) else kinds
            said = f"expected {expected}, got {_kind(instance)} {_shown(instance)}"
        case "required":
            missing = [repr(name) for name in list(cast(Json, error.validator_value)) if name not in instance]
            said = f"missing {'property' if len(missing) == 1 else 'properties'} {', '.join(missing)}"
        case "enum":
            said = f"expected one of {_shown(error.validator_value)}, got {_shown(instance)}"
        case _:
            said = error.message
    said = said if len(said) <= MAX_MESSAGE_CHARACTERS else said[: MAX_MESSAGE_CHARACTERS - 1] + "…"
    return f"at {place}: {said}" if place else said


def _kind(value: Json) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "")


def _shown(value: Json) -> str:
    text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"
