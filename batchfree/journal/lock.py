"""The lock of a run folder: only one run of a job at a time.

The kernel's file lock (flock) decides, so a lock file that a dead process left behind blocks nobody. The text inside
the file only tells people which process holds the lock.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from batchfree.core.errors import StorageError, unwritable

TRIES = 20
TRY_AGAIN = 0.01
"""Seconds between two tries. Several are needed because `find_holder` also holds the lock for a moment."""


def find_holder(path: Path) -> str | None:
    """The process that holds the lock, as a phrase for a message; None if the lock is free."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named(os.read(fd, 4096))
    except OSError:
        return None
    finally:
        os.close(fd)
    return None


def _named(content: bytes) -> str:
    try:
        facts = json.loads(content)
        return f"process {facts['pid']} on {facts['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"


@contextmanager
def hold(path: Path) -> Iterator[str | None]:
    """Holds the lock inside the block and yields None. If another process holds it, yields a phrase that names it.

    Raises StorageError, or OutputError if the spec names a wrong place.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(f"{path}: the run can't be locked", error) from error
    try:
        try:
            is_mine = _take(fd)
        except OSError as error:
            raise StorageError(
                f"{path}: the file system can't lock files: {error.strerror}. Set `run_dir` to a local folder."
            ) from error
        if not is_mine:
            yield _named(os.pread(fd, 4096, 0))
            return
        with suppress(OSError):  # with a full disk the run must still be able to write the table
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode() + b"\n", 0)
        yield None
    finally:
        os.close(fd)


def _take(fd: int) -> bool:
    """Takes the lock. Returns False if another process holds it."""
    for attempt in range(TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(TRY_AGAIN if attempt < TRIES - 1 else 0)
    return False
