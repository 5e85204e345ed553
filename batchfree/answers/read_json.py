"""JSON in a model's text: found, mended where its syntax is broken, and checked against a JSON Schema (draft 2020-12).

Half a JSON value is never an answer, and nothing that belongs to the answer is dropped: the text around the value must
hold no second one, no piece of one, and no words that take it back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import cast

from jsonschema import ValidationError

from batchfree.answers.answer_type import beyond_column
from batchfree.answers.fences import fenced_spans
from batchfree.answers.non_answers import is_verdict_value
from batchfree.answers.retractions import disowns, takes_back
from batchfree.answers.rule import SAFETY_VERDICT, Answer, bad_answer
from batchfree.answers.schema_check import TooManyStepsError, find_mistake
from batchfree.answers.strict_json import NotJson, brackets, canonical, parse, settle
from batchfree.answers.tolerant_json import CLOSING_QUOTES, MARKS, parse_tolerantly
from batchfree.core.chat import Failure, Json, JsonObject

MAX_MENDED_CHARACTERS = 200_000
MAX_MESSAGE_CHARACTERS = 200
LIKE_JSON = re.compile(r"[:\"]")
"""What a part in brackets holds if it is meant as JSON, and not as a remark such as `[1]` or `{name}`."""
CLOSING_BRACKET = re.compile(r"[}\]]")
IN_FRONT = re.compile(
    rf"(?:\A|[,{{(\[\n])[\s\\]{{0,99}}[{MARKS}][^\n]{{0,200}}:\s{{0,99}}\Z"  # a key
    rf"|\A[\s\\]{{0,99}}[\w-]{{0,99}}[{MARKS}]\s{{0,9}}:\s{{0,99}}\Z|\A\s{{0,99}}:"  # half a key
    rf"|\A\s{{0,99}}\"[^\"\n]{{0,200}}\"\s{{0,9}}:|[{MARKS}]\s{{0,9}}:\s{{0,99}}[{MARKS}]\Z"  # a key and half a value
    rf"|(?:[{MARKS}\d]|true|false|null)\s{{0,9}},\s{{0,99}}[{MARKS}]?\Z"  # a value and a comma
    rf"|(?:\d|true|false|null|(?<=\w)(?<!json)(?<!JSON))\Z"  # a value
)
BEHIND = re.compile(
    rf"\A\s{{0,99}},|[{MARKS}]\s{{0,9}}:(?!\w)|\A\s{{0,9}}[{MARKS}]\w"
    r"|\A\s{0,99}(?:-?\d[\d.]*|true|false|null)\s{0,9}(?:[,\n]|\Z)"
)
"""Pieces of JSON outside all brackets: a key or a value that ends right in front of a bracket; a comma or a key behind
the last one."""
WHOLLY_ESCAPED = re.compile(r'(?:[^\\"]|\\["nrt])+')
TOO_LONG = bad_answer("checking it against the schema takes too long; give a shorter value")
CUT_OFF = "the JSON breaks off before it is closed"


def read_json(text: str, schema: JsonObject, *, repair: bool) -> Answer | Failure:
    """The one JSON value in the text that satisfies the schema, or why there is none. `repair` allows mending."""
    try:
        return _whole(parse(text), schema, repair=repair)
    except NotJson:
        pass
    places = _places(text)
    if places is None:
        return bad_answer(CUT_OFF)
    return _from_pieces(_pieces(text, places, schema, repair=repair), text)


def _places(text: str) -> list[slice] | None:
    """The parts of a text that may be its JSON value: what stands in brackets, and fenced blocks without brackets.

    None if one of them breaks off. An open bracket in the prose around fenced blocks does not count.
    """
    blocks, found = fenced_spans(text), brackets(text)
    spans = list(found.spans)
    if found.unclosed is not None:
        last = blocks[-1].stop if blocks else 0
        if not blocks or (
            LIKE_JSON.search(text, max(last, found.unclosed)) and brackets(text[last:]).unclosed is not None
        ):
            return None
        inner = [(block, brackets(text[block])) for block in blocks]
        if any(each.unclosed is not None for _, each in inner):
            return None
        spans = [slice(b.start + span.start, b.start + span.stop) for b, each in inner for span in each.spans]
    return spans + [block for block in blocks if not brackets(text[block]).spans]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a text that may be the JSON value: its place, and what it was read as; None if it is no JSON."""

    place: slice
    result: Answer | Failure | None


def _pieces(text: str, places: Sequence[slice], schema: JsonObject, *, repair: bool) -> list[_Piece]:
    """The parts of a text in order, each read as the value. Equal parts are read once."""
    known: dict[str, Answer | Failure | None] = {}
    pieces = list[_Piece]()
    for place in sorted(places, key=lambda each: each.start):
        piece = text[place].strip()
        if "\\\\" in piece and text[place.start - 1 : place.start] == text[place.stop : place.stop + 1] == '"':
            pieces.append(_Piece(place, bad_answer("its JSON stands in a JSON string that can't be read")))
            continue
        if piece not in known:
            known[piece] = _piece(piece, schema, repair=repair)
        pieces.append(_Piece(place, known[piece]))
        if known[piece] is TOO_LONG:
            return pieces[-1:]
    return pieces


def _from_pieces(pieces: Sequence[_Piece], text: str) -> Answer | Failure:
    """The answer among the parts of a text, or why there is none."""
    fits = {canonical(each.result.value): each.result for each in pieces if isinstance(each.result, Answer)}
    if len(fits) > 1:
        return bad_answer(f"it holds {len(fits)} different JSON values that fit; give exactly one")
    if not fits:
        failures = [each.result for each in pieces if isinstance(each.result, Failure)]
        return failures[-1] if failures else bad_answer("it holds no JSON value")
    fit = [place for place, each in enumerate(pieces) if isinstance(each.result, Answer)]
    first, last = fit[0], fit[-1]
    if any(_is_dropped(text, pieces, place) for place in range(first + 1, len(pieces))) or _touches_next(
        text, pieces, first - 1
    ):
        return bad_answer("it holds more than one JSON value; give exactly one")
    if any(text[each.place][:1] + text[each.place][-1:] in ("{]", "[}") for each in pieces):
        return bad_answer("a bracket of its JSON is closed by another one")
    before, behind = text[: pieces[first].place.start], text[pieces[last].place.stop :]
    if _has_loose_json(text, pieces, first, last) or takes_back(behind) or disowns(before):
        return bad_answer("the text around its JSON adds to it or takes it back; give the JSON alone")
    return next(iter(fits.values()))


def _is_dropped(text: str, pieces: Sequence[_Piece], place: int) -> bool:
    """Whether a part behind the answer is JSON too and does not fit."""
    piece = pieces[place]
    if not isinstance(piece.result, Failure):
        return False
    return LIKE_JSON.search(text[piece.place]) is not None or _touches_next(text, pieces, place - 1)


def _touches_next(text: str, pieces: Sequence[_Piece], place: int) -> bool:
    """Whether nothing but blanks and commas stands between a part that is no repetition and the next part."""
    if place < 0 or pieces[place].result is None:
        return False
    return not text[pieces[place].place.stop : pieces[place + 1].place.start].strip(" \t\r\n,;")


def _has_loose_json(text: str, pieces: Sequence[_Piece], first: int, last: int) -> bool:
    """Whether pieces of JSON stand outside all brackets. The answer is the part `first`, and again the part `last`."""
    places = [slice(0, 0), *(each.place for each in pieces), slice(len(text), len(text))]
    start, stop = pieces[first].place.start, pieces[first].place.stop
    mark = text[start - 1 : start] if start else ""
    around = [text[one.stop : other.start] for one, other in pairwise(places)]
    return (
        any(map(CLOSING_BRACKET.search, around))
        or IN_FRONT.search(text[max(0, start - 400) : start]) is not None
        or any(map(BEHIND.search, around[last + 1 :]))
        or (mark in CLOSING_QUOTES and text[stop : stop + 1] != mark)
    )


def check_value(value: Json, schema: JsonObject, *, repaired: bool = False) -> Answer | Failure:
    """The value as an answer if it satisfies the schema, else what is wrong with it."""
    try:
        if is_verdict_value(value, names_in(schema)) and not isinstance(value, str):
            return SAFETY_VERDICT
        error = find_mistake(value, schema)
    except RecursionError:
        return bad_answer("it is nested too deeply to be checked")
    except TooManyStepsError:
        return TOO_LONG
    return Answer(value=value, repaired=repaired) if error is None else bad_answer(_sentence(error))


def check_answer(value: Json, schema: JsonObject, *, repaired: bool = False) -> Answer | Failure:
    """The value as an answer if it satisfies the schema and its column can hold it, else what is wrong with it."""
    result = check_value(value, schema, repaired=repaired)
    problem = beyond_column(value, schema) if isinstance(result, Answer) else None
    return result if problem is None else bad_answer(problem)


def _whole(value: Json, schema: JsonObject, *, repair: bool) -> Answer | Failure:
    """A reply that is one JSON value, as an answer. A string that breaks the schema is read as JSON once more."""
    result = check_answer(value, schema)
    if isinstance(result, Failure) and isinstance(value, str) and repair:
        try:
            inner = parse(value)
        except NotJson:
            return result
        if not isinstance(inner, str):
            return check_answer(inner, schema, repaired=True)
    return result


def _piece(piece: str, schema: JsonObject, *, repair: bool) -> Answer | Failure | None:
    """A part of a text as an answer; None if it is not JSON, or if it repeats the schema."""
    try:
        value, repaired = parse_or_mend(piece, repair=repair)
    except NotJson as error:
        return bad_answer(str(error)) if piece[:1] in "{[" else None
    return None if value == schema else check_answer(value, schema, repaired=repaired)


def parse_or_mend(text: str, *, repair: bool) -> tuple[Json, bool]:
    """The value of a JSON text, and whether its syntax was mended. Raises NotJson."""
    try:
        return parse(text), False
    except NotJson as error:
        if not (repair and error.mendable):
            raise
        return mend(text), True


def mend(text: str) -> Json:
    """The value of a JSON text whose syntax is broken. Raises NotJson if it can't be mended without guessing."""
    if len(text) > MAX_MENDED_CHARACTERS:
        raise NotJson(f"it is not valid JSON, and longer than {MAX_MENDED_CHARACTERS:,} characters", mendable=False)
    return settle(parse_tolerantly(_without_escapes(text)))


def _without_escapes(text: str) -> str:
    """`{\\"name\\": \\"tea\\"}` as `{"name": "tea"}`; a text with other escapes stays as it is."""
    if '\\"' not in text or WHOLLY_ESCAPED.fullmatch(text) is None:
        return text
    return text.replace('\\"', '"').replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t")


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
