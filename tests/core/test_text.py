"""Dotted keys, nearest words, and text that can be encoded."""

from __future__ import annotations

import pytest

from batchfree.core.text import clean, dotted, key_path, nearest, without_surrogates


@pytest.mark.parametrize(
    ("path", "key"),
    [((), ""), (("limits", "concurrency"), "limits.concurrency"), (("messages", 0, "content"), "messages[0].content")],
)
def test_a_path_is_written_with_dots_and_read_back(path, key):
    assert dotted(path) == key
    assert key_path(key) == path


def test_only_a_word_that_looks_alike_is_near():
    assert nearest("concurency", ["reserve", "concurrency"]) == "concurrency"
    assert nearest("zzz", ["reserve", "concurrency"]) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("plain", "plain"), ("ä😀", "ä😀"), ("a\ud800b", "a\ufffdb"), ("\udc00", "\ufffd"), ("\ud83d\ude00!", "😀!")],
)
def test_half_a_surrogate_pair_is_replaced_and_a_whole_one_is_its_character(text, expected):
    assert clean(text) == expected
    assert without_surrogates({text: [text, 1, None]}) == {expected: [expected, 1, None]}
