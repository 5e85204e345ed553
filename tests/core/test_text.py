"""Dotted keys and nearest words."""

from __future__ import annotations

import pytest

from batchfree.core.text import dotted, key_path, nearest


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
