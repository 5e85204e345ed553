"""Whether the table can be written where the job wants it, without destroying anything else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from batchfree.core.errors import Mistake, SpecError
from batchfree.jobspec.rules.outputs import OVER_INPUT, OVER_RECORDS, RECORDS

if TYPE_CHECKING:
    from batchfree.data.input import Dataset
    from batchfree.jobspec import JobSpec

TEMPORARY_NAME_BYTES = 16
"""Bytes by which the name of the unfinished file is longer than that of the table."""


def check_place(spec: JobSpec, dataset: Dataset | None = None) -> None:
    """Checks, before anything is sent, that the table can be written at the job's output. Raises SpecError.

    The input and the job's own records are known by their inodes, so a link to one of them is found too. Without
    `dataset` the input is not compared.
    """
    path = spec.output.path
    problem = _obstacle(path) or next(_overwritten(path, spec.run_dir, dataset), None)
    if problem:
        raise SpecError([Mistake(message=problem, file=str(path), key="output.path")])


def _obstacle(path: Path) -> str | None:
    """Why no file can be written there."""
    try:
        if path.is_dir():
            return "the output is a folder; name a file in it"
        folder = path.resolve().parent
        while not os.path.lexists(folder) and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            return f"the output can't be written there: {folder} is not a folder"
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"the output can't be written there: no permission to write in {folder}"
        if len(os.fsencode(path.name)) + TEMPORARY_NAME_BYTES > os.pathconf(folder, "PC_NAME_MAX"):
            return "the name of the output is too long"
    except OSError as error:
        return f"the output can't be written there: {error.strerror}"
    return None


def _overwritten(path: Path, run_dir: Path, dataset: Dataset | None) -> Iterator[str]:
    """What the table would overwrite. The rules of the job spec compare only names."""
    if not path.exists():
        return
    if dataset is not None and dataset.reads(path):
        yield OVER_INPUT
    if any(path.samefile(record) for name in RECORDS for record in run_dir.glob(name)):
        yield OVER_RECORDS
