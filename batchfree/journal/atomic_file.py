"""Replaces whole files, so that a reader never sees half of one."""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LEFT_BEHIND_S = 3600.0
"""Age in seconds from which the temporary file of a killed process is removed."""

_number = itertools.count()


@contextmanager
def atomic_write(target: Path, *, private: bool = True) -> Iterator[Path]:
    """Yields the path of a temporary file beside `target` for the block to write, then renames it to `target`.

    If the block raises, `target` stays as it was and the temporary file is removed. The file is synced before it is
    renamed, so it survives a power cut. It gets the permissions of the old file. A symbolic link at `target` stays a
    link. If `private`, only the owner can read a new file, as is right for rows and answers. Raises OSError.
    """
    target = target.resolve()
    _remove_left_behind(target)
    unfinished = target.with_name(f".{target.name}.{os.getpid():x}.{next(_number):x}.tmp")
    try:
        yield unfinished
        _sync(unfinished)
        if target.exists():
            shutil.copymode(target, unfinished)
        elif private:
            unfinished.chmod(0o600)
        unfinished.replace(target)
        _sync(target.parent)
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _sync(path: Path) -> None:
    """Syncs a file, or the names in a folder, to disk."""
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
