"""The lock of a run: only one run of a job at a time.

The kernel's file lock (flock(2)) decides, so a file that a dead process left behind blocks nobody. The file `lock` and
the journal are both locked, so a second run can't start even if somebody deletes `lock` or moves the run folder. The
text inside `lock` names the process that holds it. A run that ends deletes the text.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from batchfree.core.errors import StorageError, unwritable

ANOTHER = "another process"
TRIES = 20
TRY_AGAIN = 0.01
"""Seconds between two tries. Several are needed because `find_holder` also holds the lock for a moment."""


def find_holder(path: Path, journal: Path | None = None) -> str | None:
    """The process that holds the lock or the journal, as a phrase for a message; None if both are free."""
    return _holder_of(path) or (None if journal is None else _holder_of(journal) and ANOTHER)


def _holder_of(path: Path) -> str | None:
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
        return ANOTHER


def was_left_elsewhere(path: Path) -> bool:
    """Whether the last run that held this lock was on another machine, and nothing says that it ended.

    On one machine the lock is proof. Some file systems keep no locks between machines, so that run may still go on.
    """
    try:
        facts = json.loads(path.read_bytes())
        host, boot = facts["host"], facts.get("boot")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    here = _boot()
    return bool(host != socket.gethostname() if None in (boot, here) else boot != here)


def _boot() -> str | None:
    """The random id of this start of the machine, equal in all its containers; None on systems other than Linux.

    Source: random(4), /proc/sys/kernel/random/boot_id.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


@contextmanager
def hold_alone(path: Path, journal: Path | None = None) -> Iterator[str | None]:
    """Holds the lock and the journal inside the block and yields None.

    If another process holds one of them, yields a phrase that names the process. Raises StorageError, or OutputError
    if the spec names a wrong place.
    """
    with ExitStack() as files:
        fd = _open(path, files)
        if not _take(fd, path):
            yield _named(os.pread(fd, 4096, 0))
            return
        if journal is not None and not _take(_open(journal, files), journal):
            yield ANOTHER
            return
        facts = {"pid": os.getpid(), "host": socket.gethostname(), "boot": _boot()}
        text = json.dumps(facts).encode() + b"\n"
        with suppress(OSError):  # with a full disk the run must still be able to write the table
            os.ftruncate(fd, 0)
            os.pwrite(fd, text, 0)
        try:
            yield None
        finally:
            with suppress(OSError):
                if os.pread(fd, 4096, 0) == text:  # if no lock holds, another run may have written its own text
                    os.ftruncate(fd, 0)


@contextmanager
def hold_shared(path: Path) -> Iterator[str | None]:
    """Holds the lock together with others that share it, and yields None.

    If a process holds the lock alone, yields a phrase that names the process. Raises StorageError, or OutputError if
    the spec names a wrong place.
    """
    with ExitStack() as files:
        fd = _open(path, files)
        yield None if _take(fd, path, fcntl.LOCK_SH) else _named(os.pread(fd, 4096, 0))


@contextmanager
def hold_new_journal(journal: Path) -> Iterator[None]:
    """Holds a journal that took the place of the one that `hold_alone` locked. Raises StorageError."""
    with ExitStack() as files:
        if not _take(_open(journal, files), journal):
            raise StorageError(f"{journal}: another process writes this journal. Run the same command again.")
        yield


def _open(path: Path, files: ExitStack) -> int:
    """Opens a file or creates it. Leaving `files` closes the file and frees its lock."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(f"{path}: the run can't be locked", error) from error
    files.callback(os.close, fd)
    return fd


def _take(fd: int, path: Path, kind: int = fcntl.LOCK_EX) -> bool:
    """Takes the lock of an open file; `kind` is LOCK_EX (alone) or LOCK_SH (shared), as in flock(2).

    Returns False if another process holds the lock. Raises StorageError.
    """
    for attempt in range(TRIES):
        try:
            fcntl.flock(fd, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(TRY_AGAIN if attempt < TRIES - 1 else 0)
        except OSError as error:
            raise StorageError(
                f"{path}: the file system can't lock files: {error.strerror}. Set `run_dir` to a local folder."
            ) from error
    return False
