"""Which format a suffix names."""

from __future__ import annotations

import pytest

from batchfree.core.formats import output_format


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("out/a.parquet", "parquet"),
        ("a.jsonl", "jsonl"),
        ("a.openai.jsonl", "openai-batch"),
        ("a.b.csv", "csv"),
        ("a.arrow", "arrow"),
        ("a.xlsx", None),
        (".parquet", None),
        (".openai.jsonl", None),
        ("parquet", None),
        ("", None),
    ],
)
def test_the_suffix_of_an_output_names_its_format(path, found):
    assert output_format(path) == found
