"""An index over the journal: finds the attempts and the status of each question.

Each question has a chain of links, one per attempt, from the last back to the first. A link holds the place of the
attempt's line and the status after it; the line itself stays on disk. So millions of answers fit into memory.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from batchfree.core.errors import StorageError
from batchfree.journal import file as journal
from batchfree.journal.attempts import Attempt, QuestionState, Status, fold, next_status
from batchfree.journal.digest_map import DigestMap
from batchfree.journal.file import DamagedLine, JournalLine

STATUSES = (Status.PENDING, Status.OK, Status.FAILED)
NUMBERS = {status: number for number, status in enumerate(STATUSES)}
NO_LINK = -1
RECENT_LINES = 512
"""Lines that are kept in memory after they were read: all rows of a pack share a line."""


class JournalIndex:
    """The attempts and the status of every question in one journal."""

    def __init__(self, path: Path, *, names: bool = False) -> None:
        """An empty index. The journal at `path` need not exist yet. `names`: also remember the ids of answered rows."""
        self._path = path
        self.left_out = 0
        self._fd: int | None = None
        self._questions = DigestMap()  # digest → number of its last link; the four arrays below hold the links
        self._starts, self._lengths = array("q"), array("I")
        self._previous, self._statuses = array("q"), array("b")
        self._names = DigestMap() if names else None
        self._recent = dict[int, Attempt]()

    def load(
        self,
        seen: Callable[[Attempt], None],
        damaged: Callable[[DamagedLine], None],
        counts: Callable[[Attempt], bool] = lambda attempt: True,
    ) -> None:
        """Reads the whole journal; passes attempts to `seen`, damaged lines to `damaged`. Raises StorageError.

        Attempts for which `counts` returns False are left out; `left_out` then counts the rows that they answered.
        """
        try:
            with suppress(FileNotFoundError), open(self._open(), "rb", closefd=False) as file:
                for line in journal.scan(file, damaged):
                    if counts(line.attempt):
                        self.add(line)
                        seen(line.attempt)
                    else:
                        self.left_out += 0 if line.attempt.pack_check else line.attempt.answered
        except OSError as error:
            raise journal.unreadable(self._path, error) from error

    def add(self, line: JournalLine) -> None:
        """Adds one line of the journal. A pack check belongs to no question, so it is left out."""
        if line.attempt.pack_check:
            return
        for outcome in line.attempt.outcomes:
            link = len(self._starts)
            before = self._questions.put(outcome.question, link)
            status = STATUSES[0 if before is None else self._statuses[before]]
            self._previous.append(NO_LINK if before is None else before)
            self._statuses.append(NUMBERS[next_status(status, outcome)])
            self._starts.append(line.start)
            self._lengths.append(line.end - line.start)
            if self._names is not None and outcome.id is not None and outcome.kind is None:
                self._names.put(_hashed(outcome.id), link)

    def keep_open(self) -> None:
        """Opens the file now, so that it stays readable if it is renamed or deleted. Raises StorageError."""
        try:
            self._open()
        except OSError as error:
            raise journal.unreadable(self._path, error) from error

    @property
    def is_empty(self) -> bool:
        """Whether the journal has no attempts."""
        return not self._starts

    def has_answered(self, id: str) -> bool:
        """Whether a row with this id has an answer, to any question. Always False without `names`."""
        return self._names is not None and _hashed(id) in self._names

    def status(self, question: str) -> Status:
        """The status of a question; pending if it was never asked."""
        link = self._questions.get(question)
        return Status.PENDING if link is None else STATUSES[self._statuses[link]]

    def state(self, question: str) -> QuestionState:
        """The state of a question, read from its lines in the journal. Raises StorageError."""
        link = self._questions.get(question)
        return QuestionState() if link is None else fold(question, self._attempts(link))

    def attempts(self, question: str) -> Iterator[Attempt]:
        """The attempts of a question, oldest first, read from the journal. Raises StorageError."""
        link = self._questions.get(question)
        return iter(()) if link is None else self._attempts(link)

    def close(self) -> None:
        """Closes the file. Without this call it is closed when no table uses the index any more."""
        if self._fd is not None:
            self._fd = None
            self._closing()

    def _open(self) -> int:
        """The file descriptor; opens the file at the first call."""
        if self._fd is None:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._closing = weakref.finalize(self, os.close, self._fd)
        return self._fd

    def _attempts(self, link: int) -> Iterator[Attempt]:
        """The attempts of the chain that ends at `link`, oldest first."""
        links = []
        while link != NO_LINK:
            links.append(link)
            link = self._previous[link]
        try:
            fd = self._open()
            for each in reversed(links):
                yield self._line(fd, self._starts[each], self._lengths[each])
        except OSError as error:
            raise journal.unreadable(self._path, error) from error
        except ValueError as error:
            raise StorageError(
                f"{self._path}: another program changed the journal during this run. Run the same command again."
            ) from error

    def _line(self, fd: int, start: int, length: int) -> Attempt:
        """The attempt of a line. Those that were read last are remembered."""
        found = self._recent.get(start)
        if found is None:
            found = journal.read_at(fd, start, length)
            if len(self._recent) >= RECENT_LINES:
                del self._recent[next(iter(self._recent))]
            self._recent[start] = found
        return found


def _hashed(id: str) -> str:
    return hashlib.blake2b(id.encode(), digest_size=16).hexdigest()
