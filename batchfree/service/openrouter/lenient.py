"""Reads JSON from outside that may be anything: what is not as it should be is absent, never an error."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from batchfree.core.chat import Json, JsonObject
from batchfree.core.text import clean

COUNT_LIMIT = 1 << 32
"""Counts are below this: they go into unsigned 32-bit columns."""
LONGEST_INTEGER = 18
"""Digits; longer ones are read as floats, since no journal line holds them."""


def document(text: str) -> Json:
    """The JSON of a text, None where there is none. NaN, infinities and what overflows stay the text that they are."""
    try:
        return json.loads(text, parse_constant=str, parse_int=_integer, parse_float=_float)
    except (ValueError, RecursionError):
        return None


def _integer(digits: str) -> float | str:
    return int(digits) if len(digits) <= LONGEST_INTEGER else _float(digits)


def _float(digits: str) -> float | str:
    value = float(digits)
    return value if math.isfinite(value) else digits


def table(value: Json) -> JsonObject:
    """An object, the empty one where it is none."""
    return value if isinstance(value, dict) else {}


def listing(value: Json) -> list[Any]:
    """A list, the empty one where it is none."""
    return value if isinstance(value, list) else []


def word(value: Json) -> str | None:
    """A text with something in it, without blanks around it; a number is its digits."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{value:g}" if isinstance(value, float) else str(value)
    return (clean(value).strip() or None) if isinstance(value, str) else None


def number(value: Json) -> float | None:
    """A finite number, also where it is written as a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def count(value: Json) -> int | None:
    """A whole number from zero, also where it is written as a text."""
    read = number(value)
    return int(read) if read is not None and 0 <= read < COUNT_LIMIT else None


def header(headers: Mapping[str, Json], name: str) -> str | None:
    """A header's value, however its name is spelled."""
    return next((word(value) for key, value in headers.items() if key.lower() == name.lower()), None)
