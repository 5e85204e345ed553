"""The rough count of tokens."""

from __future__ import annotations

import pytest

from batchfree.core.tokens import estimate_tokens


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("abcd" * 10, 10), ("слово" * 4, 10), ("漢字漢字", 3), ("😀", 1), ("\ud800" * 8, 2)]
)
def test_four_bytes_make_a_token_in_every_script(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens
