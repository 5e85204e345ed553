"""Reads JSON from outside, which may have any shape. A value of the wrong type counts as missing; nothing raises."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import msgspec

from batchfree.core.chat import Json, JsonObject
from batchfree.core.text import clean

COUNT_LIMIT = 1 << 32
"""Counts must be below this, because the output columns are unsigned 32-bit integers."""
LONGEST_INTEGER = 18
"""Largest number of digits of an integer; longer ones become floats, because msgspec can't encode them."""

_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LONG_INTEGER = b"0" * (LONGEST_INTEGER + 1)


def parse_json(text: str) -> Json:
    """The JSON value of a text; None if it is not JSON. NaN, infinities and floats that overflow stay text."""
    try:
        encoded = text.encode()
        return _parse_by_python(text) if _LONG_INTEGER in encoded.translate(_ZEROS) else msgspec.json.decode(encoded)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _parse_by_python(text)


def _parse_by_python(text: str) -> Json:
    try:
        return _decoder.decode(text)
    except (ValueError, RecursionError):
        return None


def _integer(digits: str) -> float | str:
    return int(digits) if len(digits) <= LONGEST_INTEGER else _float(digits)


def _float(digits: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) else digits


_decoder = json.JSONDecoder(parse_constant=str, parse_int=_integer, parse_float=_float)


def as_object(value: Json) -> JsonObject:
    """The value if it is an object, else an empty object."""
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Any]:
    """The value if it is a list, else an empty list."""
    return value if isinstance(value, list) else []


def as_text(value: Json) -> str | None:
    """A text without blanks around it, or the digits of a number; None for empty text and other values."""
    if isinstance(value, str):
        return clean(value).strip() or None
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def as_number(value: Json) -> float | None:
    """A finite number, also one written as text; None for other values."""
    if not isinstance(value, (int, float, str)) or isinstance(value, bool):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def as_count(value: Json) -> int | None:
    """A whole number from zero, also one written as text; None for other values."""
    if type(value) is int:
        return value if 0 <= value < COUNT_LIMIT else None
    read = as_number(value)
    return int(read) if read is not None and 0 <= read < COUNT_LIMIT else None


def find_header(headers: Mapping[str, Json], name: str) -> str | None:
    """The value of a header; upper and lower case of its name do not matter."""
    if name in headers:
        return as_text(headers[name])
    return next((as_text(value) for key, value in headers.items() if key.lower() == name.lower()), None)
