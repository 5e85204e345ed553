"""An index over the journals of a job: finds the attempts and the status of each question.

For each question it holds the place of its last line and the status after that line. The lines themselves stay on disk,
so an index of millions of answers fits into memory. A job that was run in parts has several journals. Their attempts
are read in the order of time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from batchfree.journal.attempts import Attempt, Status
from batchfree.journal.digest_numbers import DigestNumbers
from batchfree.journal.journal_files import JournalFiles
from batchfree.journal.journal_lines import DamagedLine, JournalLine
from batchfree.journal.line_places import LinePlaces
from batchfree.journal.question_state import UNASKED, QuestionState, fold, next_status
from batchfree.journal.text_set import TextSet

STATUSES = (Status.PENDING, Status.OK, Status.FAILED)
STATUS_NUMBERS = {status: number for number, status in enumerate(STATUSES)}
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
        self.numbers = DigestNumbers()
        """The numbers of the questions, also of those that have no line yet."""
        self._places = LinePlaces()
        self._statuses = bytearray()
        self._names = TextSet() if names else None
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
        statuses, length = self._statuses, line.end - line.start
        for outcome in line.attempt.outcomes:
            number = self.numbers.add(outcome.question)
            while number >= len(statuses):
                statuses.append(0)
            status = STATUSES[statuses[number]]
            new = Status.OK if outcome.kind is None else next_status(status, outcome)
            if new is not status:
                changed.append(new)
                statuses[number] = STATUS_NUMBERS[new]
            self._places.put(number, line.start, length)
            if self._names is not None and outcome.id is not None and outcome.kind is None:
                self._names.add(outcome.id)
        return changed

    def keep_open(self) -> None:
        """Opens the file now, so that it stays readable if it is renamed or deleted. Raises StorageError."""
        self._files.keep_open()

    @property
    def is_empty(self) -> bool:
        """Whether the journal has no attempts."""
        return not self._places.total

    @property
    def size_bytes(self) -> int:
        """The size of all lines. The line of a pack counts once for each of its rows, which all show the reply."""
        return self._places.total

    def has_answered(self, id: str) -> bool:
        """Whether a row with this id has an answer, to any question. Always False without `names`."""
        return self._names is not None and id in self._names

    def status(self, question: str) -> Status:
        """The status of a question; pending if it was never asked."""
        number = self.numbers.get(question)
        return Status.PENDING if number is None else self.status_of(number)

    def status_of(self, number: int) -> Status:
        """The status of the question with this number."""
        return STATUSES[self._statuses[number]] if number < len(self._statuses) else Status.PENDING

    def state(self, question: str) -> QuestionState:
        """The state of a question, read from its lines in the journal. Raises StorageError."""
        number = self.numbers.get(question)
        return UNASKED if number is None else self.state_of(question, number)

    def state_of(self, question: str, number: int) -> QuestionState:
        """The same for a question whose number is known."""
        lines = self._places.of(number)
        return fold(question, [self._line(place, length) for place, length in lines]) if lines else UNASKED

    def attempts(self, question: str) -> Iterator[Attempt]:
        """The attempts of a question, oldest first, read from the journal. Raises StorageError."""
        number = self.numbers.get(question)
        for place, length in () if number is None else self._places.of(number):
            yield self._line(place, length)

    def close(self) -> None:
        """Closes the files. Without this call they are closed when no table uses the index any more."""
        self._recent.clear()
        self._files.close()

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
