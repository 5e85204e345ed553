"""Which attempts a question has had: an index over the journal, small enough for millions of answers.

For every question it keeps the chain of its lines, with its status after each; the lines themselves stay on disk.
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


class JournalIndex:
    """What the journal knows, question by question."""

    def __init__(self, path: Path, *, names: bool = False) -> None:
        """An empty history over the journal at `path`, which need not exist yet. `names`: rows have ids to remember."""
        self._path = path
        self._fd: int | None = None
        self._questions = DigestMap()  # digest → number of its last link
        self._starts, self._lengths = array("q"), array("I")
        self._previous, self._statuses = array("q"), array("b")
        self._names = DigestMap() if names else None

    def load(self, seen: Callable[[Attempt], None], damaged: Callable[[DamagedLine], None]) -> None:
        """Reads the whole journal, showing each attempt and each damaged line on the way. Raises StorageError."""
        try:
            with suppress(FileNotFoundError), open(self._open(), "rb", closefd=False) as file:
                for line in journal.scan(file, damaged):
                    self.add(line)
                    seen(line.attempt)
        except OSError as error:
            raise journal.unreadable(self._path, error) from error

    def add(self, line: JournalLine) -> None:
        """Takes note of one more line."""
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
        """Holds on to the journal, so that it stays readable whatever happens to its name. Raises StorageError."""
        try:
            self._open()
        except OSError as error:
            raise journal.unreadable(self._path, error) from error

    @property
    def is_empty(self) -> bool:
        """Whether there was no attempt yet."""
        return not self._starts

    def has_answered(self, id: str) -> bool:
        """Whether a row of this name was answered, under whatever question; False where no names are remembered."""
        return self._names is not None and _hashed(id) in self._names

    def status(self, question: str) -> Status:
        """Where a question stands; pending where it was never asked."""
        link = self._questions.get(question)
        return Status.PENDING if link is None else STATUSES[self._statuses[link]]

    def state(self, question: str) -> QuestionState:
        """Everything about a question, read from its lines. Raises StorageError."""
        link = self._questions.get(question)
        return QuestionState() if link is None else fold(question, self._attempts(link))

    def close(self) -> None:
        """Closes the file; without this call it is closed together with the last table that reads it."""
        if self._fd is not None:
            self._fd = None
            self._closing()

    def _open(self) -> int:
        """The descriptor of the file, which is opened once."""
        if self._fd is None:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._closing = weakref.finalize(self, os.close, self._fd)
        return self._fd

    def _attempts(self, link: int) -> Iterator[Attempt]:
        """The attempts of a chain, oldest first."""
        links = []
        while link != NO_LINK:
            links.append(link)
            link = self._previous[link]
        try:
            fd = self._open()
            for each in reversed(links):
                yield journal.read_at(fd, self._starts[each], self._lengths[each])
        except OSError as error:
            raise journal.unreadable(self._path, error) from error
        except ValueError as error:
            raise StorageError(f"{self._path}: the journal was changed while it was read.") from error


def _hashed(id: str) -> str:
    return hashlib.blake2b(id.encode(), digest_size=16).hexdigest()
