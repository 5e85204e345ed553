"""Every exception that batchfree raises on purpose.

    BatchfreeError
    ├── MistakesError        the user's files are wrong; it holds every `Mistake` that was found
    │   ├── SpecError        the job spec is wrong
    │   └── DatasetError     the input is wrong
    ├── StorageError         a journal, ledger, cache or table can't be read or written
    │   └── OutputError      the table or the run folder can't be written there; nothing was sent
    └── UnavailableError     the service or the shared ledger can't be reached, or the service can't do what is asked

A failed attempt is no exception but a `chat.Failure`. A spent limit is a normal end of a run, a `stops.Stopped`.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake in the user's files, and its place.

    `file` is a path, or the command-line option that holds the mistake. `line` counts from one. `key` is the dotted
    key of the job spec, such as `limits.concurrency`, or a column of the input.
    """

    message: str
    file: str | None = None
    line: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        return ": ".join(part for part in (place, self.key, self.message) if part)


class BatchfreeError(Exception):
    """Any error that batchfree raises on purpose. Its text is a sentence for the user."""


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
    """A file that batchfree keeps can't be read or written. The message names it and says what is lost."""


class OutputError(StorageError):
    """The table or the run folder can't be written where the job wants it; nothing was sent."""


class UnavailableError(BatchfreeError):
    """The service or the shared ledger can't be reached, or no model can do what the job asks. Try again later."""


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Error numbers of the operating system for a disk that is full or broken."""


def unwritable(what: str, error: OSError) -> StorageError:
    """The error of a run that can't begin. A full disk needs a person; anything else is a mistake in the job spec."""
    kind = StorageError if error.errno in FULL else OutputError
    return kind(f"{what}: {error.strerror}. Nothing was sent.")
