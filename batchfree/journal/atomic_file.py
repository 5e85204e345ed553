"""Files that are replaced as a whole: a reader never sees half of one."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LEFT_BEHIND_S = 3600.0
"""Seconds without a change after which the unfinished file of a killed process is removed."""

_number = itertools.count()


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Gives the path of an unfinished file beside `target`, to be written in the block; renames it at the block's end.

    Where the block raises, `target` stays as it was and the unfinished file is removed. The file is synced before it is
    renamed, so `target` also survives a power cut. It gets the permissions of the old file; a link at `target` stays a
    link. Raises OSError.
    """
    target = target.resolve()
    _remove_left_behind(target)
    unfinished = target.with_name(f".{target.name}.{os.getpid():x}.{next(_number):x}.tmp")
    try:
        yield unfinished
        _sync(unfinished)
        if target.exists():
            shutil.copymode(target, unfinished)
        unfinished.replace(target)
        _sync(target.parent)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _sync(path: Path) -> None:
    """Waits until the disk holds a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_left_behind(target: Path) -> None:
    start = f".{target.name}."
    for other in target.parent.iterdir():
        is_unfinished = other.name.startswith(start) and other.suffix == ".tmp"
        if is_unfinished and time.time() - other.stat().st_mtime > LEFT_BEHIND_S:
            other.unlink(missing_ok=True)
