"""When two answers count as equal.

Texts may differ in upper and lower case, in the kind and number of blanks, in the written form of a character (Unicode
NFKC), in quotes and Markdown marks around the text, and in `.,;:!?` at its end. In JSON, numbers are equal by value (1
and 1.0). The order of keys does not count, the order of lists does.
"""

from __future__ import annotations

import json
import unicodedata
from functools import lru_cache

from batchfree.core.chat import Json

AROUND = "\"'`*_~ «»‹›„“”‚‘’"
AT_END = AROUND + ".,;:!?…。！？"


@lru_cache(maxsize=1024)
def normalise(text: str) -> str:
    """The text without the differences that don't count. A text of marks alone keeps its marks."""
    folded = " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())
    return folded.rstrip(AT_END).lstrip(AROUND) or folded


def answer_key(answer: Json) -> str:
    """A text that is the same for equal answers: of a text the normalised text, else JSON with normalised texts."""
    return (
        normalise(answer) if isinstance(answer, str) else json.dumps(_plain(answer), sort_keys=True, ensure_ascii=False)
    )


def _plain(value: Json) -> Json:
    """The value with normalised texts, and with whole numbers as integers."""
    if isinstance(value, str):
        return normalise(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value
