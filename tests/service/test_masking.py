"""The cheap look that spares most texts the search for keys."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from batchfree.service.openrouter.masking import HINT, MASKS


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in MASKS], ids=lambda pattern: pattern.pattern[:20])
def test_every_text_that_is_masked_has_a_hint(pattern: re.Pattern[str]) -> None:
    @seed(1)
    @settings(max_examples=60, deadline=None, database=None)
    @given(st.from_regex(pattern))
    def check(text: str) -> None:
        assert HINT.search(text) is not None

    check()
