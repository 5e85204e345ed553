"""Halves of UTF-16 characters, which JSON can escape and no UTF-8 text can hold: they become U+FFFD. Pure."""

from __future__ import annotations

from batchfree.core.chat import Json


def without_surrogates(value: Json) -> Json:
    """The same value with every text in it fit to be encoded."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {clean(key): without_surrogates(each) for key, each in value.items()}
    return value


def clean(text: str) -> str:
    """The same text without lone surrogates; pairs of them become the character that they mean."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
