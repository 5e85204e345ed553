"""Dotted keys, nearest words, and text that can be encoded."""

from __future__ import annotations

import pytest

from batchfree.core.text import clean, dotted, is_blank, key_path, nearest, single_line, without_surrogates


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


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain text", "plain text"),
        ("  two\nlines\r\n\tand  blanks ", "two lines and blanks"),
        ("red\x1b[31m and \x9b31m", "red [31m and 31m"),
        ("a\u202eb\u200bc\ufeffd\u00ade", "abcde"),
        ("a\u2028b\u0085c\x00d", "a b c d"),
        ("caf\u00e9 \u4f60 😀", "café 你 😀"),
        ("\ud800", "\ufffd"),
        ("\u200b", ""),
    ],
)
def test_a_single_line_has_no_controls_and_no_invisible_characters(text, line):
    assert single_line(text) == line


@pytest.mark.parametrize("text", ["", " \n", "\u200b", "\ufe0f\u3164", "\x00\x1b", "\U000e0001"])
def test_text_that_shows_nothing_is_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", "\u200ba", ".", "\u0301", "\ufffd", "😀\ufe0f"])
def test_text_that_shows_something_is_not_blank(text):
    assert not is_blank(text)
