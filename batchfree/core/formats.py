"""File formats of input and output, and the suffixes that name them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

Format: TypeAlias = Literal["jsonl", "parquet", "csv", "arrow", "openai-batch"]

OPENAI_BATCH: Final = "openai-batch"
"""As input the request lines of OpenAI's batch API, as output its result lines."""

INPUT_SUFFIXES: Mapping[str, Format] = MappingProxyType(
    {
        ".jsonl": "jsonl",
        ".ndjson": "jsonl",
        ".parquet": "parquet",
        ".pq": "parquet",
        ".csv": "csv",
        ".tsv": "csv",
        ".arrow": "arrow",
        ".feather": "arrow",
        ".ipc": "arrow",
    }
)
"""Suffix of an input file → its format. Only `input.format` can say that a .jsonl file is an OpenAI batch."""

TABS_SUFFIX = ".tsv"
"""Suffix of CSV files whose cells are separated by tabs unless `input.separator` says otherwise."""

COMPRESSED_SUFFIXES = (".gz", ".zst")
"""Suffixes that may follow the suffix of a text format."""

TEXT_FORMATS: tuple[Format, ...] = ("jsonl", "csv", OPENAI_BATCH)

OUTPUT_SUFFIXES: Mapping[str, Format] = MappingProxyType(
    {
        ".parquet": "parquet",
        ".jsonl": "jsonl",
        ".csv": "csv",
        ".arrow": "arrow",
        ".openai.jsonl": OPENAI_BATCH,
    }
)
"""Suffix of an output file → its format."""


def output_suffix(path: PurePath | str) -> str | None:
    """The suffix of an output that names its format, the longest one first; None if there is none."""
    name = PurePath(path).name
    suffixes = sorted(OUTPUT_SUFFIXES, key=len, reverse=True)
    found = next((suffix for suffix in suffixes if name.endswith(suffix)), None)
    return None if name == found else found


def output_format(path: PurePath | str) -> Format | None:
    """The format that an output's suffix names; None if it names none."""
    found = output_suffix(path)
    return None if found is None else OUTPUT_SUFFIXES[found]
