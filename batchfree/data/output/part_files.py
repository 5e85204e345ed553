"""The files of an output that is a folder: one for each part of the job."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from batchfree.core.parts import Part, part_of_file
from batchfree.data.output.ownership import owner_of

if TYPE_CHECKING:
    from batchfree.jobspec import JobSpec


def delete_stale_parts(spec: JobSpec, part: Part) -> None:
    """Deletes this job's files of another number of parts, once all files of this number are in the folder.

    Until then a reader of the folder finds some rows twice, but no row is missing. A file that can't be deleted stays.
    """
    folder = spec.output.folder
    if folder is None:
        return
    parts = [(found, path) for path in folder.iterdir() if (found := part_of_file(path.name)) is not None]
    if sum(found.count == part.count for found, _ in parts) < part.count:
        return
    for found, path in parts:
        owner = None if found.count == part.count else owner_of(path)
        if owner is not None and owner.is_of(spec):
            with suppress(OSError):
                path.unlink()
