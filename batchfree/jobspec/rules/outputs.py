"""Which paths a table may have. These checks look at names only, never at files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePath

from batchfree.core.formats import OUTPUT_SUFFIXES, output_format

RECORDS = ("journal.jsonl", "journal.*.jsonl", "log.jsonl")
"""Files of a run folder whose suffix is also a suffix of tables."""

OVER_INPUT = "the table would be written over the input"
OVER_RECORDS = "the table would be written over the job's own records"


def output_complaints(path: str) -> Iterator[str]:
    """What is wrong with an output path."""
    if "://" in path or ":/" in path[2:]:
        yield "the table can't be written to a URL; name a local file"
    if output_format(path) is None:
        expected = f"expected one of {', '.join(OUTPUT_SUFFIXES)}"
        yield f"the suffix of the output names its format; {expected}, got {PurePath(path).name or 'no name at all'}"


def overwriting(path: str, inputs: Sequence[str], run_dir: str) -> Iterator[str]:
    """What the table would overwrite: an input, a file that a glob of the input would find, or the job's records.

    A glob with `**` is no mistake, since the input then leaves the table and the run folder out. All paths are
    absolute.
    """
    if any(path == each or ("**" not in each and _matches(path, each)) for each in inputs):
        yield OVER_INPUT
    if any(_matches(path, str(PurePath(run_dir, record))) for record in RECORDS):
        yield OVER_RECORDS


def _matches(path: str, glob: str) -> bool:
    """Whether the glob, which has no `**`, finds the path."""
    parts, patterns = PurePath(path).parts, PurePath(glob).parts
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))
