"""An index over the journals of a job: finds the attempts and the status of each question.

Each question has a chain of links, one per attempt, from the last attempt back to the first. A link holds the place of
the attempt's line, and the status of the question after the attempt. The line itself stays on disk, so an index of
millions of answers fits into memory. A job that was run in parts has several journals. Their attempts are read in the
order of time.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from batchfree.journal.attempts import Attempt, Status
from batchfree.journal.digest_map import DigestMap
from batchfree.journal.journal_files import JournalFiles
from batchfree.journal.journal_lines import DamagedLine, JournalLine
from batchfree.journal.question_state import QuestionState, fold, next_status

STATUSES = (Status.PENDING, Status.OK, Status.FAILED)
NO_LINK = -1
RECENT_LINES = 512
"""Lines of packs that stay in memory after they were read, because all rows of a pack share a line."""


class JournalIndex:
    """The attempts and the status of every question in the journals of a job."""

    def __init__(self, path: Path, *others: Path, names: bool = False) -> None:
        """An empty index. New lines are written to the journal at `path`; `others` are further journals of the job.

        The files need not exist yet. `names`: also remember the ids of answered rows.
        """
        self._files = JournalFiles((path, *others))
        self.left_out = 0
        self._questions = DigestMap()  # digest → number of its last link; the four arrays below hold the links
        self._places, self._lengths = array("q"), array("I")
        self._previous, self._statuses = array("q"), array("b")
        self._names = DigestMap() if names else None
        self._recent = dict[int, Attempt]()

    def load(
        self,
        seen: Callable[[Attempt], None],
        damaged: Callable[[DamagedLine], None],
        counts: Callable[[Attempt], bool] = lambda attempt: True,
    ) -> None:
        """Reads the journals; passes attempts to `seen`, damaged lines to `damaged`. Raises StorageError.

        Attempts for which `counts` returns False are left out; `left_out` then counts the rows that they answered.
        """
        for line in self._files.lines(damaged):
            attempt = line.attempt
            if counts(attempt):
                self.add(line)
                seen(attempt)
            else:
                self.left_out += 0 if attempt.pack_check else attempt.answered

    def add(self, line: JournalLine) -> Sequence[Status]:
        """Adds a line. Returns the new status of each question whose status changes.

        A pack check belongs to no question, so it is left out.
        """
        if line.attempt.pack_check:
            return ()
        changed = []
        for outcome in line.attempt.outcomes:
            link = len(self._places)
            before = self._questions.put(outcome.question, link)
            status = STATUSES[0 if before is None else self._statuses[before]]
            self._previous.append(NO_LINK if before is None else before)
            new = next_status(status, outcome)
            if new is not status:
                changed.append(new)
            self._statuses.append(STATUSES.index(new))
            self._places.append(line.start)
            self._lengths.append(line.end - line.start)
            if self._names is not None and outcome.id is not None and outcome.kind is None:
                self._names.put(_hashed(outcome.id), link)
        return changed

    def keep_open(self) -> None:
        """Opens the file now, so that it stays readable if it is renamed or deleted. Raises StorageError."""
        self._files.keep_open()

    @property
    def is_empty(self) -> bool:
        """Whether the journal has no attempts."""
        return not self._places

    @property
    def size_bytes(self) -> int:
        """The size of all lines. The line of a pack counts once for each of its rows, which all show the reply."""
        return sum(self._lengths)

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
        return iter(() if link is None else self._attempts(link))

    def close(self) -> None:
        """Closes the files. Without this call they are closed when no table uses the index any more."""
        self._recent.clear()
        self._files.close()

    def _attempts(self, link: int) -> list[Attempt]:
        """The attempts of the chain that ends at `link`, oldest first."""
        attempts = []
        while link != NO_LINK:
            attempts.append(self._line(self._places[link], self._lengths[link]))
            link = self._previous[link]
        return attempts[::-1]

    def _line(self, place: int, length: int) -> Attempt:
        """The attempt of a line. The packs that were read last are remembered. Raises StorageError."""
        found = self._recent.get(place)
        if found is None:
            found = self._files.read(place, length)
            if len(found.outcomes) == 1:
                return found
            if len(self._recent) >= RECENT_LINES:
                del self._recent[next(iter(self._recent))]
            self._recent[place] = found
        return found


def _hashed(id: str) -> str:
    return hashlib.blake2b(id.encode(), digest_size=16).hexdigest()
