"""When two answers count as equal.

Of texts, these differences don't count: upper and lower case, the kind and number of blanks, the written form of a
character (Unicode NFKC), quotes and Markdown marks around the text, and `.,;:!?` at its end. In JSON, numbers are equal
by value (1 and 1.0) and the order of keys does not count; the order of lists does.
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
    """The text without the differences that don't count. A text that is nothing but marks stays as it is."""
    folded = " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())
    return folded.rstrip(AT_END).lstrip(AROUND) or folded


def answer_key(answer: Json) -> str:
    """A text that is equal for equal answers: the normalised text of a text, else JSON with normalised texts."""
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
