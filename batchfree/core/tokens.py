"""A rough count of the tokens of a text, before any model has counted them."""

from __future__ import annotations

BYTES_PER_TOKEN = 4


def estimate_tokens(text: str) -> int:
    """The UTF-8 bytes of the text divided by four, rounded down.

    Tokenizers of the byte-pair kind merge bytes, so bytes fit every script better than characters: about 4 English
    letters, 2 Cyrillic letters or 1.3 Chinese characters make one token. The count is rather too low, on purpose: a
    model that is left out wrongly is never asked, and a model whose context is full says so.
    """
    return len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN
