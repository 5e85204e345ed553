"""The JSON text of a value inside a body, with all numbers and repeated keys as the sender wrote them.

Reading a value and writing it again would change long numbers and drop the first of two equal keys.
"""

from __future__ import annotations

import json

from batchfree.core.chat import Json
from batchfree.core.text import KeyPath, clean


class _Literal(str):
    """A number as it is written."""


class _Members(list[tuple[str, Json]]):
    """The keys and values of an object, in order, with repeated keys."""


def json_text_at(text: str, path: KeyPath) -> str:
    """The JSON text of the value under `path` in a body. Raises RecursionError, or ValueError if `text` is not JSON."""
    value = json.loads(
        text, object_pairs_hook=_Members, parse_int=_Literal, parse_float=_Literal, parse_constant=_Literal
    )
    for part in path:
        value = value[part] if isinstance(part, int) else dict(value)[part]
    return clean(_written(value))


def _written(value: Json) -> str:
    if isinstance(value, _Literal):
        return str(value)
    if isinstance(value, _Members):
        return "{" + ", ".join(f"{_quoted(key)}: {_written(each)}" for key, each in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_written(each) for each in value) + "]"
    return _quoted(value)


def _quoted(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
