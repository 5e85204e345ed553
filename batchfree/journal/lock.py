"""The lock of a run folder: one run of a job at a time.

The kernel's own file lock is the truth, so a lock left by a dead process, on this boot or another, holds nobody up.
What is written into the file only names the holder.
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

LOOKS = 20
LOOK_AGAIN = 0.01
"""Seconds between two looks: whoever asks for the holder holds the lock for a moment, too."""


def find_holder(path: Path) -> str | None:
    """Who holds the lock, as a phrase; None where nobody does."""
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
    """Holds the lock inside the block; the value is None then, else it names the holder and nothing is held."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unwritable(f"{path}: the run can't be locked", error) from error
    try:
        try:
            is_mine = _taken(fd)
        except OSError as error:
            raise StorageError(f"{path}: the file system can't lock files: {error.strerror}.") from error
        if not is_mine:
            yield _named(os.pread(fd, 4096, 0))
            return
        with suppress(OSError):  # a full disk must not keep the table from being written
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode() + b"\n", 0)
        yield None
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    """Takes the lock, unless another process keeps it."""
    for look in range(LOOKS):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(LOOK_AGAIN if look < LOOKS - 1 else 0)
    return False
