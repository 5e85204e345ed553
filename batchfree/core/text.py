"""Text for people and files: dotted keys, times, the nearest known word, lone surrogates, invisible characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeAlias

from batchfree.core.chat import Json

KeyPath: TypeAlias = tuple[str | int, ...]
"""The way to a value inside mappings and lists: `("messages", 0, "content")`. List positions count from zero."""

INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
"""Unicode's categories of control and format characters, blanks and line breaks."""
IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]"
)
"""Characters of other categories that show nothing: fillers, variation selectors, the blank of Braille
(Unicode's property Default_Ignorable_Code_Point)."""


def dotted(path: KeyPath) -> str:
    """The path as people write it: `messages[0].content`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def key_path(key: str) -> KeyPath:
    """The path of a dotted key; the inverse of `dotted`."""
    return tuple(int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", key))


def without_surrogates(value: Json) -> Json:
    """The same value, with `clean` applied to every text and key in it."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {clean(key): without_surrogates(each) for key, each in value.items()}
    return value


def clean(text: str) -> str:
    """The text in a form that UTF-8 can encode: a lone surrogate becomes �, a pair becomes its character."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can encode the text. Python reads other bytes in paths and variables as lone surrogates."""
    return text.isascii() or clean(text) == text


def is_blank(text: str) -> bool:
    """Whether the text shows nothing: it is empty, or all its characters are invisible."""
    return not text[:1].isalnum() and all(_is_invisible(character) for character in text)


def single_line(text: str) -> str:
    """The text on one line: invisible characters are dropped, and each run of blanks and controls becomes one blank."""
    text = clean(text)
    if not (text.isascii() and text.isprintable()):
        spaced = (" " if unicodedata.category(each) == "Cc" else each for each in text)
        text = "".join(each for each in spaced if each.isspace() or not _is_invisible(each))
    return " ".join(text.split())


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) in INVISIBLE_CATEGORIES or IGNORABLE.match(character) is not None


def iso(seconds: float | None) -> str | None:
    """Epoch seconds as an ISO 8601 time in UTC, to the second."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word that is most similar to `word`; None if none is similar enough.

    `cutoff` is the smallest similarity that counts, from 0 to 1, as `difflib.SequenceMatcher.ratio` measures it.
    """
    from difflib import get_close_matches

    close = get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return close[0] if close else None


def did_you_mean(word: Json, known: Iterable[str], cutoff: float = 0.6) -> str:
    """A question for the end of a sentence: "; did you mean `limits`?". Empty if no known word is similar."""
    close = nearest(word, known, cutoff) if isinstance(word, str) else None
    return f"; did you mean `{close}`?" if close else ""
