"""Environment variables from files of `NAME=value` lines: `--env-file`, and the `.env` beside a job file."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

from batchfree.core.errors import Mistake, SpecError
from batchfree.jobspec.small_files import read_bytes
from batchfree.jobspec.spec_files import placed

BESIDE_A_JOB = ".env"
MOST_BYTES = 1_000_000
"""Largest size of such a file."""


def env_file_beside(job: Path) -> Path:
    """The path of the `.env` in the folder of a job file; the file need not exist."""
    return placed(job).parent / BESIDE_A_JOB


def read_environment(job: Path | None = None, env_file: Path | None = None) -> Mapping[str, str]:
    """The environment variables of the process, of `env_file`, and of the `.env` beside the job file.

    If several define a variable, the first in this order counts. Raises SpecError with file and line.
    """
    beside = {} if job is None else _read(env_file_beside(job), must_exist=False)
    named = {} if env_file is None else _read(env_file, must_exist=True)
    return {**beside, **named, **os.environ}


def _read(path: Path, *, must_exist: bool) -> dict[str, str]:
    """The variables in a file. Mistakes never quote a line, since it may hold a key."""
    from dotenv.parser import parse_stream

    try:
        content = read_bytes(path, MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise SpecError([_mistake(path, f"is larger than {MOST_BYTES:,} bytes", must_exist)])
        lines = list(parse_stream(io.StringIO(content.decode("utf-8-sig"), newline=None)))
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError) and not must_exist:
            return {}
        why = error.strerror if isinstance(error, OSError) else "this is not UTF-8 text"
        raise SpecError([_mistake(path, f"can't be read: {why}", must_exist)]) from error
    broken = [line for line in lines if line.error or (line.key is not None and line.value is None)]
    if broken:
        message = "expected NAME=value; put a # before comments, and quotes around a value with blanks"
        raise SpecError([_mistake(path, message, must_exist, line.original.line) for line in broken])
    return {line.key: line.value for line in lines if line.key is not None and line.value is not None}


def _mistake(path: Path, message: str, is_named: bool, line: int | None = None) -> Mistake:
    return Mistake(file=str(path), line=line, key="--env-file" if is_named else None, message=message)
