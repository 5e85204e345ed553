"""Strict JSON, and the places of JSON in a text.

Python's own parser accepts values that would do harm here: a key given twice, NaN, half a surrogate pair, and numbers
too large for a float.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from batchfree.answers.per_schema import once_per_schema
from batchfree.core.chat import Json, JsonObject

ESCAPE_OR_BRACKET = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
MAX_NESTING = 200


class NotJson(ValueError):
    """A text is not strict JSON. `mendable` says that only its syntax is broken, not its content."""

    def __init__(self, message: str, *, mendable: bool) -> None:
        self.mendable = mendable
        super().__init__(message)


class Pairs(list[tuple[str, Json]]):
    """An object as it was written: its keys in order, repeated keys too."""


def read_integer(text: str) -> int:
    """The integer. Raises NotJson for more than 1,000 digits."""
    if len(text) > 1000:
        raise NotJson("a number has more than 1,000 digits", mendable=False)
    return int(text)


def read_number(text: str) -> float:
    """The number. Raises NotJson if it is too large for a float."""
    value = float(text)
    if not math.isfinite(value):
        raise NotJson(f"the number {text[:40]} is too large", mendable=False)
    return value


def _constant(text: str) -> NoReturn:
    raise NotJson(f"{text} is not JSON", mendable=False)


_decoder = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=read_integer, parse_float=read_number, parse_constant=_constant
)


def pairs_at(text: str, start: int) -> tuple[Json, int]:
    """The value that begins at `start`, with its objects as `Pairs`, and the position after it. Raises NotJson."""
    try:
        return _decoder.raw_decode(text, start)
    except NotJson:
        raise
    except ValueError as error:
        raise NotJson(f"it is not valid JSON: {error}", mendable=True) from None
    except RecursionError:
        raise NotJson("it is nested too deeply", mendable=False) from None


def settle(value: Json, depth: int = 0) -> Json:
    """The value with its objects as dicts. Raises NotJson for a key with two values and for half a surrogate pair."""
    if isinstance(value, Pairs):
        return _object(value, depth)
    if isinstance(value, list):
        _check_depth(depth)
        return [settle(each, depth + 1) for each in value]
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise NotJson("a text holds half a surrogate pair", mendable=False) from None
    return value


def _object(pairs: Pairs, depth: int) -> Json:
    _check_depth(depth)
    made: dict[str, Json] = {}
    for key, each in pairs:
        value = settle(each, depth + 1)
        if key in made and canonical(made[key]) != canonical(value):
            raise NotJson(f"the key {settle(key)!r} is given twice with different values", mendable=False)
        made[settle(key)] = value
    return made


def _check_depth(depth: int) -> None:
    if depth > MAX_NESTING:
        raise NotJson("it is nested too deeply", mendable=False)


def parse_strictly(text: str) -> Json:
    """The value of a text that is JSON as a whole; blanks around it don't count. Raises NotJson."""
    stripped = text.strip()
    value, end = pairs_at(stripped, 0)
    if end != len(stripped):
        raise NotJson("there is more than one JSON value", mendable=True)
    return settle(value)


def canonical(value: Json) -> str:
    """A text that is the same for equal values and for no others; 1, 1.0 and true are three different values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


@once_per_schema
def schema_text(schema: JsonObject) -> str:
    """The canonical text of a schema."""
    return canonical(schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brackets:
    """The outermost bracketed parts of a text as slices. `unclosed` is the start of a part that is never closed."""

    spans: tuple[slice, ...]
    unclosed: int | None = None


def brackets(text: str) -> Brackets:
    """Finds `{…}` and `[…]` at the outermost level. Brackets within JSON strings don't count; `]` may close `{`."""
    spans, start, depth, quoted = list[slice](), 0, 0, False
    for place, token in _tokens(text):
        if quoted:
            quoted = token != '"'
        elif token == '"':
            quoted = depth > 0
        elif token in "{[":
            start = place if depth == 0 else start
            depth += 1
        elif depth and token in "}]":
            depth -= 1
            if depth == 0:
                spans.append(slice(start, place + 1))
    return Brackets(spans=tuple(spans), unclosed=start if depth else None)


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    for match in ESCAPE_OR_BRACKET.finditer(text):
        if len(match[0]) == 1:
            yield match.start(), match[0]
