"""The set of texts."""

from __future__ import annotations

from batchfree.journal.text_set import TextSet


def test_it_holds_the_texts_that_were_added_and_no_others_while_it_grows() -> None:
    texts = TextSet()
    for number in range(20_000):
        assert f"row {number}" not in texts
        texts.add(f"row {number}")
        texts.add(f"row {number // 2}")
    assert all(f"row {number}" in texts for number in range(20_000))
    assert not any(f"row {number}" in texts for number in range(20_000, 21_000))
