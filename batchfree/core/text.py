"""Text for people and files: dotted keys, times, the nearest known word, and lone surrogates."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeAlias

from batchfree.core.chat import Json

KeyPath: TypeAlias = tuple[str | int, ...]
"""The way to a value inside mappings and lists: `("messages", 0, "content")`. List positions count from zero."""


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
    """The text in a form that UTF-8 can hold: a lone surrogate becomes �, a pair of them the character they mean."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can hold the text. Python reads other bytes of paths and variables as lone surrogates."""
    return text.isascii() or clean(text) == text


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
    """A question to put behind a sentence: "; did you mean `limits`?". Empty if no known word is near."""
    close = nearest(word, known, cutoff) if isinstance(word, str) else None
    return f"; did you mean `{close}`?" if close else ""
