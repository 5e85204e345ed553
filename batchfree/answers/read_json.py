"""Finds the one JSON value in a model's text that satisfies the schema. Broken syntax is mended if its value is clear.

Half a JSON value is never an answer, and no part of an answer is dropped. So the text around the value must hold no
second value, no piece of one, and no words that take the value back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from batchfree.answers.check_steps import Steps
from batchfree.answers.fences import fenced_spans
from batchfree.answers.json_answer import TOO_LONG, check_answer
from batchfree.answers.retractions import disowns, takes_back
from batchfree.answers.rule import Answer, bad_answer
from batchfree.answers.strict_json import NotJson, brackets, canonical, parse_strictly, settle
from batchfree.answers.tolerant_json import CLOSING_QUOTES, MARKS, parse_tolerantly
from batchfree.core.chat import Failure, Json, JsonObject

MAX_MENDED_CHARACTERS = 200_000
LIKE_JSON = re.compile(r"[:\"]")
"""A sign that a part in brackets is meant as JSON, and not as a remark such as `[1]` or `{name}`."""
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
"""Pieces of JSON outside all brackets. `IN_FRONT` finds a key or a value right in front of a bracket, `BEHIND` a comma
or a key behind the last bracket."""
WHOLLY_ESCAPED = re.compile(r'(?:[^\\"]|\\["nrt])+')
CUT_OFF = "the JSON breaks off before it is closed"


def read_json(text: str, schema: JsonObject, *, repair: bool) -> Answer | Failure:
    """The one JSON value in the text that satisfies the schema, or why there is none. `repair` allows mending."""
    try:
        return _whole(parse_strictly(text), schema, repair=repair)
    except NotJson:
        pass
    places = _places(text)
    if places is None:
        return bad_answer(CUT_OFF)
    return _from_pieces(_pieces(text, places, schema, repair=repair), text)


def _places(text: str) -> list[slice] | None:
    """The parts of a text that may be its JSON value: parts in brackets, and fenced blocks without brackets.

    None if one of these parts breaks off. An open bracket in the prose around fenced blocks does not count.
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
    """A part of a text that may be the JSON value. `result` is None if the part is no JSON."""

    place: slice
    result: Answer | Failure | None


def _pieces(text: str, places: Sequence[slice], schema: JsonObject, *, repair: bool) -> list[_Piece]:
    """The parts of a text in order, each read as the value. Equal parts are read once."""
    known: dict[str, Answer | Failure | None] = {}
    pieces, steps = list[_Piece](), Steps()
    for place in sorted(places, key=lambda each: each.start):
        piece = text[place].strip()
        if "\\\\" in piece and text[place.start - 1 : place.start] == text[place.stop : place.stop + 1] == '"':
            pieces.append(_Piece(place, bad_answer("its JSON stands in a JSON string that can't be read")))
            continue
        if piece not in known:
            known[piece] = _piece(piece, schema, steps, repair=repair)
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
    """Whether only blanks and commas separate a part from the next part. A part without a result never counts."""
    if place < 0 or pieces[place].result is None:
        return False
    return not text[pieces[place].place.stop : pieces[place + 1].place.start].strip(" \t\r\n,;")


def _has_loose_json(text: str, pieces: Sequence[_Piece], first: int, last: int) -> bool:
    """Whether there are pieces of JSON outside all brackets. `first` and `last` are the parts that hold the answer."""
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


def _whole(value: Json, schema: JsonObject, *, repair: bool) -> Answer | Failure:
    """A reply that is one JSON value, as an answer. A string that breaks the schema is read as JSON once more."""
    result = check_answer(value, schema)
    if isinstance(result, Failure) and isinstance(value, str) and repair:
        try:
            inner = parse_strictly(value)
        except NotJson:
            return result
        if not isinstance(inner, str):
            return check_answer(inner, schema, repaired=True)
    return result


def _piece(piece: str, schema: JsonObject, steps: Steps, *, repair: bool) -> Answer | Failure | None:
    """A part of a text as an answer; None if it is not JSON, or if it repeats the schema."""
    try:
        value, repaired = parse_or_mend(piece, repair=repair)
    except NotJson as error:
        return bad_answer(str(error)) if piece[:1] in "{[" else None
    return None if value == schema else check_answer(value, schema, repaired=repaired, steps=steps)


def parse_or_mend(text: str, *, repair: bool) -> tuple[Json, bool]:
    """The value of a JSON text, and whether its syntax was mended. Raises NotJson."""
    try:
        return parse_strictly(text), False
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
