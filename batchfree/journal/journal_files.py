"""The journals of a job, open for reading: its own journal and the journals of its parts."""

from __future__ import annotations

import heapq
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from batchfree.core.errors import StorageError
from batchfree.journal import journal_lines as journal
from batchfree.journal.attempts import Attempt
from batchfree.journal.journal_lines import DamagedLine, JournalLine
from batchfree.journal.open_files import allow_open_files
from batchfree.journal.regular_file import open_regular

OFFSET_BITS = 48
"""A place holds the byte position of a line in this number of bits, and the number of its file above them."""


class JournalFiles:
    """The journals of a job. They are numbered from zero, and need not exist yet."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._fds = dict[int, int]()
        allow_open_files(3 * len(self._paths))  # while a run of the whole job also holds the locks of all parts
        self._closing = weakref.finalize(self, _close, self._fds)

    def lines(self, damaged: Callable[[DamagedLine], None]) -> Iterator[JournalLine]:
        """All attempts, in the order of time if there are several journals. Raises StorageError.

        `start` and `end` of each line are places, as `read` takes them.
        """
        streams = [self._lines_of(number, damaged) for number in range(len(self._paths)) if self._exists(number)]
        yield from streams[0] if len(streams) == 1 else heapq.merge(*streams, key=lambda each: each.attempt.at)

    def read(self, place: int, length: int) -> Attempt:
        """The attempt whose line has this place and length in bytes. Raises StorageError."""
        number, start = place >> OFFSET_BITS, place & (1 << OFFSET_BITS) - 1
        try:
            return journal.read_at(self._open(number), start, length)
        except OSError as error:
            raise journal.unreadable(self._paths[number], error) from error
        except ValueError as error:
            raise StorageError(
                f"{self._paths[number]}: another program changed the journal during this run. "
                "Run the same command again."
            ) from error

    def keep_open(self) -> None:
        """Opens the first file now, so that it stays readable if it is renamed or deleted. Raises StorageError."""
        try:
            self._open(0)
        except OSError as error:
            raise journal.unreadable(self._paths[0], error) from error

    def close(self) -> None:
        """Closes the files. Without this call they are closed once this object is no longer used."""
        _close(self._fds)

    def _exists(self, number: int) -> bool:
        try:
            self._open(number)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise journal.unreadable(self._paths[number], error) from error
        return True

    def _lines_of(self, number: int, damaged: Callable[[DamagedLine], None]) -> Iterator[JournalLine]:
        path, above = self._paths[number], number << OFFSET_BITS
        try:
            with open(self._open(number), "rb", journal.READ_BYTES, closefd=False) as file:
                lines = journal.attempts_in(file, lambda damage: damaged(replace(damage, path=path)))
                if not above:
                    yield from lines
                for line in lines:
                    yield JournalLine(attempt=line.attempt, start=above + line.start, end=above + line.end)
        except OSError as error:
            raise journal.unreadable(path, error) from error

    def _open(self, number: int) -> int:
        """The file descriptor; opens the file at the first call."""
        fd = self._fds.get(number)
        if fd is None:
            fd = self._fds[number] = open_regular(str(self._paths[number]), os.O_RDONLY | os.O_CLOEXEC)
        return fd


def _close(fds: dict[int, int]) -> None:
    while fds:
        _, fd = fds.popitem()
        with suppress(OSError):
            os.close(fd)
