"""Reads the files of a job spec: the job file itself, and the schema file that it names.

It also finds the line of a key in the job file, for mistakes that are found after the file was read.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from batchfree.core.errors import Mistake
from batchfree.core.text import KeyPath, key_path
from batchfree.jobspec.small_files import is_regular, read_bytes
from batchfree.jobspec.yaml.parse import MAX_BYTES, decode, parse_yaml


def read_text(path: Path, shown: str) -> str | Mistake:
    """The text of a file, or the mistake that prevents reading it. `shown` is the name of the file in messages."""
    try:
        content = read_bytes(path, MAX_BYTES + 1)
    except FileNotFoundError:
        return Mistake(file=shown, message="there is no such file")
    except IsADirectoryError:
        return Mistake(file=shown, message="this is a folder, not a file")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "the path is not valid"
        return Mistake(file=shown, message=f"the file can't be read: {reason}")
    return decode(content, shown)


def placed(path: Path) -> Path:
    """The absolute path of a file. Links of its folders are resolved; the file itself may be a link and stays one."""
    return Path(os.path.realpath(path.parent)) / path.name


def home() -> Path:
    """The user's home folder, for `~`."""
    return Path(os.path.expanduser("~"))  # noqa: PTH111  (never raises)


def line_of(file: Path, path: KeyPath) -> int | None:
    """The line of a key in the job file, or of the mapping around it; None if neither is there."""
    if not is_regular(file):  # a pipe is empty after the first reading
        return None
    text = read_text(file, str(file))
    origins = parse_yaml(text, str(file)).origins if isinstance(text, str) else {}
    while path and path not in origins:
        path = path[:-1]
    return origins[path].line if path else None


def located(mistake: Mistake, file: Path) -> Mistake:
    """The mistake with file and line added, if it names only a key of the job."""
    if mistake.key is None or mistake.line is not None or mistake.file not in (None, str(file)):
        return mistake
    return replace(mistake, file=str(file), line=line_of(file, key_path(mistake.key)))
