"""Every exception that a caller of batchfree may meet.

    BatchfreeError
    ├── MistakesError        the user's files are wrong; carries every `Mistake` that was found
    │   ├── SpecError        the job spec
    │   └── DatasetError     the input
    ├── StorageError         a journal, ledger, cache or table can't be read or written where it should be
    │   └── OutputError      the table or the run folder can't be written there; nothing was sent
    └── UnavailableError     the service can't be reached, or can't do what the job asks

A failed attempt is not here: it is a fact, `chat.Failure`. Spent limits are not here either: they are a normal end.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One thing wrong in the user's files, with the place to look at.

    `line` counts from one; `key` is the dotted spec key (`limits.concurrency`) or the column.
    """

    message: str
    file: str | None = None
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return ": ".join(part for part in (place, self.key, self.message) if part)


class BatchfreeError(Exception):
    """Anything that batchfree says on purpose."""


class MistakesError(BatchfreeError):
    """The user's files are wrong; nothing was sent."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))


class SpecError(MistakesError):
    """The job spec is wrong."""


class DatasetError(MistakesError):
    """The input is wrong."""


class StorageError(BatchfreeError):
    """A file of batchfree's own can't be read or written; the message names it and says what is lost."""


class OutputError(StorageError):
    """The table or the run folder can't be written where the spec wants it; nothing was sent."""


class UnavailableError(BatchfreeError):
    """The service can't be reached, or offers nothing that can do what the job asks."""


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of the system that say that the disk is full, or fails."""


def unwritable(what: str, error: OSError) -> StorageError:
    """The error of a run that can't begin: on a full disk a person must make room, elsewhere the spec is wrong."""
    kind = StorageError if error.errno in FULL else OutputError
    return kind(f"{what}: {error.strerror}. Nothing was sent.")
