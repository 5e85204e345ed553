"""Where a table may be written. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath

SUFFIXES = (".parquet", ".jsonl", ".csv", ".arrow", ".openai.jsonl")


OVER_INPUT = "the table would be written over the input"


def output_complaints(path: str) -> Iterator[str]:
    """What is wrong with an output path."""
    if "://" in path or ":/" in path[2:]:
        yield "the table is written to a local file, not to a URL"
    name = PurePath(path).name
    if not any(name.endswith(suffix) and name != suffix for suffix in SUFFIXES):
        yield f"the suffix of the output names its format; expected one of {', '.join(SUFFIXES)}"


def overwrites(path: str, inputs: Sequence[str]) -> bool:
    """Whether the output is one of the inputs, or a glob among them would find it; all paths being absolute."""
    return any(path == each or _matches(path, each) for each in inputs)


def _matches(path: str, glob: str) -> bool:
    """A star stays within one folder, two go through several."""
    if "**" in glob:
        return fnmatchcase(path, glob)
    parts, patterns = PurePath(path).parts, PurePath(glob).parts
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))
