"""Whether the table can be written where the job wants it, without destroying anything else."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from batchfree.core.errors import Mistake, SpecError
from batchfree.core.parts import Part
from batchfree.data.output.ownership import is_journal, is_own, owner_of
from batchfree.jobspec.rules.outputs import OVER_INPUT, OVER_RECORDS

if TYPE_CHECKING:
    from batchfree.data.input import Dataset
    from batchfree.jobspec import JobSpec

TEMPORARY_NAME_BYTES = 16
"""Bytes by which the name of the unfinished file is longer than that of the table."""
RECORDS = ("journal*.jsonl", "log.jsonl", "spec.yaml", "lock")
"""The files of a run folder."""
ADVICE = "name another file, or replace this one with --fresh or export -o"


def check_place(
    spec: JobSpec,
    dataset: Dataset | None = None,
    *,
    protected: Sequence[Path] = (),
    any_plain: bool = False,
    part: Part | None = None,
) -> None:
    """Checks, before anything is changed, that the table can be written at the job's output. Raises SpecError.

    If the output is a folder, the place is the file of `part` in it. A file there may be replaced if it is a table of
    this job; with `any_plain` also if it is a plain file of the user.

    `protected` names files that must stay, beside the files of the spec. Without `dataset` the input is not compared.
    Files are compared by their inodes, so links are found too.
    """
    folder = spec.output.folder
    path = spec.output.path if part is None or folder is None else folder / part.file
    problem = _obstacle(path)
    if problem is None and os.path.lexists(path):
        problem = next(_destroyed(path, spec, dataset, protected, any_plain), None)
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
    except RuntimeError:
        return "the output can't be written there: its links lead in a circle"
    except OSError as error:
        return f"the output can't be written there: {error.strerror}"
    return None


def _destroyed(
    path: Path, spec: JobSpec, dataset: Dataset | None, protected: Sequence[Path], any_plain: bool
) -> Iterator[str]:
    """What a table at `path` would destroy, in sentences. The rules of the job spec compare only names."""
    if not path.exists():
        return  # a link to a file that does not exist yet
    if not stat.S_ISREG(path.stat().st_mode):
        yield "the output is not a plain file but a device, a pipe or a socket; name a file"
        return
    if dataset is not None and dataset.reads(path):
        yield OVER_INPUT
    if any(path.samefile(record) for name in RECORDS for record in spec.run_dir.glob(name)):
        yield OVER_RECORDS
    for source in (*spec.sources, *protected):
        if source.exists() and path.samefile(source):
            yield f"the table would be written over {source.name}, which this job reads"
    if is_journal(path):
        yield "the table would be written over the journal of a job"
    table = path.resolve()
    owner = owner_of(table)
    if owner is not None and not owner.is_of(spec):
        yield f"the table of another job stands there: {owner.job} ({owner.file}); name another file"
    if owner is None and not any_plain and not is_own(table, spec):
        yield f"a file that this job did not write stands there; {ADVICE}"
