"""Where a key stands in a job file, for mistakes that are found after it was read."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from batchfree.core.errors import Mistake
from batchfree.jobspec.draft import KeyPath
from batchfree.jobspec.files import read_text
from batchfree.jobspec.yaml.parse import parse


def line_of(file: Path, path: KeyPath) -> int | None:
    """The line of a key in the job file, or of what it would stand in; None where neither is there."""
    text = read_text(file, str(file))
    origins = parse(text, str(file)).origins if isinstance(text, str) else {}
    while path and path not in origins:
        path = path[:-1]
    return origins[path].line if path else None


def located(mistake: Mistake, file: Path) -> Mistake:
    """The mistake with file and line, where it names only a key of the job."""
    if mistake.key is None or mistake.line is not None or mistake.file not in (None, str(file)):
        return mistake
    parts = re.findall(r"[^.\[\]]+", mistake.key)
    path = tuple(int(part) if part.isdigit() else part for part in parts)
    return replace(mistake, file=str(file), line=line_of(file, path))
