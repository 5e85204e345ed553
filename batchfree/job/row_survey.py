"""What the rows of a job still need, counted in one pass over the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from batchfree.answers import packs
from batchfree.core.chat import ChatRequest, Failure
from batchfree.data.openai_batch import row_name
from batchfree.job.check_book import CheckBook
from batchfree.job.consensus_table import ConsensusTable
from batchfree.job.needs import Needs
from batchfree.job.state import JobState
from batchfree.journal.attempts import Status
from batchfree.journal.digest_numbers import DigestMarks
from batchfree.journal.questions import digest
from batchfree.service.routing import Requirements


@dataclass(slots=True)
class RowSurvey:
    """The counts of one pass over the input. `groups` counts questions that may share requests, by company key."""

    counts: Counter[str] = field(default_factory=Counter)
    unrenderable: int = 0
    reasked: int = 0
    groups: Counter[str] = field(default_factory=Counter)
    alone: int = 0
    votes_given: int = 0
    packed: set[str] = field(default_factory=set)
    checked: set[str] = field(default_factory=set)
    """Questions with an answer from a pack that were not asked alone yet, and those that were: as many as wanted."""
    pilot_groups: Counter[str] = field(default_factory=Counter)
    pilot_alone: int = 0
    needs: Sequence[Requirements] = (Requirements(),)

    def count_check(self, question: str, book: CheckBook) -> None:
        """Counts a question that was also asked alone, or that may be."""
        if len(self.packed) < book.wanted and book.may_be_checked(question):
            self.packed.add(question)
        if book.check_of(question) is not None:
            self.checked.add(question)

    def checks_left(self, wanted: int) -> int:
        """Rows still to be checked alone, among the rows that have an answer from a pack or will get one."""
        coming = self.groups.total() + self.pilot_groups.total()
        return max(0, min(wanted - len(self.checked), len(self.packed) + coming))

    @property
    def questions(self) -> int:
        """Questions to ask."""
        return self.alone + self.groups.total() + self.pilot_alone + self.pilot_groups.total()


def survey_rows(state: JobState) -> RowSurvey:
    """Counts what the rows of the input still need. Raises DatasetError and StorageError."""
    found, taken = RowSurvey(), DigestMarks(state.index.numbers)
    opened, spec, id_column = state.opened, state.opened.spec, state.opened.dataset.id
    needs = Needs(native_only=opened.rule.mode == "native")
    consensus = None if state.votes is None else ConsensusTable(state.votes, spec, opened.dataset.count())
    pilot = spec.pilot.rows if spec.pilot is not None and not state.pilots else 0
    for row in opened.rows():
        request = opened.prompts.render(row)
        if isinstance(request, Failure):
            found.unrenderable += 1
            continue
        question = digest(request, opened.rule)
        needs.add(request)
        found.count_check(question, state.checks)
        verdict = None if consensus is None else consensus.of(question)
        status = state.index.status(question) if verdict is None else verdict.status(spec.votes.min)
        found.counts[status] += 1
        if status is Status.PENDING and id_column is not None:
            found.reasked += state.index.has_answered(row_name(row.get(id_column)))
        is_open = status is Status.PENDING or (verdict is not None and verdict.is_open)
        if is_open and question not in taken:
            in_pilot = taken.count < pilot
            taken.add(question)
            found.votes_given += 0 if state.votes is None else state.votes.count(question)
            _count(found, request, state, in_pilot=in_pilot)
    found.needs = needs.kinds
    return found


def _count(found: RowSurvey, request: ChatRequest, state: JobState, *, in_pilot: bool) -> None:
    """Counts a question among those that may share a request, or among those that may not."""
    key = packs.company_key(request, state.opened.rule)
    if isinstance(key, str):
        (found.pilot_groups if in_pilot else found.groups)[key] += 1
    elif in_pilot:
        found.pilot_alone += 1
    else:
        found.alone += 1
