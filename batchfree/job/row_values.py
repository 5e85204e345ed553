"""The values of a row in the output table: the state of its question, the consensus on it, and its score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchfree.core.chat import Failure
from batchfree.data.output.question_values import Columns, Consensus, describe, put_values
from batchfree.job.consensus_table import ConsensusTable
from batchfree.job.vote_book import VoteBook
from batchfree.jobspec import JobSpec
from batchfree.journal.attempts import Status
from batchfree.journal.index import JournalIndex
from batchfree.journal.question_state import UNASKED, QuestionState
from batchfree.quality.scoring import ScoringRule, is_correct


def scoring_rule(spec: JobSpec) -> ScoringRule | None:
    """The rule of `evaluate` in the job file; None without it."""
    scored = spec.evaluate
    if scored is None or scored.expected is None:
        return None
    return ScoringRule(metric=scored.metric, field=scored.field, tolerance=scored.tolerance)


class RowValues:
    """The values of batchfree's columns for every row, as the journal stands now."""

    def __init__(self, spec: JobSpec, index: JournalIndex, book: VoteBook | None, *, rows: int, begun: bool) -> None:
        """`rows` is the number of rows of the job. Until the job has `begun` every row is pending."""
        self._spec, self._index, self._book, self._begun = spec, index, book, begun
        self.consensus = None if book is None else ConsensusTable(book, spec, rows)
        self._scoring = scoring_rule(spec)

    def of(self, rows: Sequence[Mapping[str, Any]], questions: Sequence[str | Failure]) -> Columns:
        """All values of some rows. Their `questions` are digests, or say why a row cannot be rendered."""
        return self.of_states(rows, questions, [self.state(question) for question in questions])

    def state(self, question: str | Failure) -> QuestionState:
        """The state of a question; the state of an unasked question if the row can't be rendered."""
        return UNASKED if isinstance(question, Failure) else self._index.state(question)

    def of_states(
        self,
        rows: Sequence[Mapping[str, Any]],
        questions: Sequence[str | Failure],
        states: Sequence[QuestionState],
    ) -> Columns:
        """The same for questions whose states are known."""
        results: list[Consensus | None] = []
        if self.consensus is not None:
            results = [self._result(question, state) for question, state in zip(questions, states, strict=True)]
        columns, expected = describe(states, results), self._spec.expected
        for place, question in enumerate(questions):
            if isinstance(question, Failure) and self._begun:
                failed = {"status": Status.FAILED, "error_kind": question.kind, "error": question.message}
                put_values(columns, place, failed)
        if self._scoring is not None and expected is not None:
            rule = self._scoring
            answers = zip(columns["answer"], rows, strict=True)
            columns["correct"] = [is_correct(answer, row.get(expected), rule) for answer, row in answers]
        return columns

    def status(self, question: str | Failure) -> Status:
        """Only the status of a row, which is much faster."""
        if isinstance(question, Failure):
            return Status.FAILED if self._begun else Status.PENDING
        verdict = None if self.consensus is None else self.consensus.of(question)
        return self._index.status(question) if verdict is None else verdict.status(self._spec.votes.min)

    def brief(self, rows: Sequence[Mapping[str, Any]], questions: Sequence[str | Failure]) -> Columns:
        """Only the statuses of answered rows, which is much faster; all values of the other rows."""
        statuses = [self.status(question) for question in questions]
        columns: Columns = {"status": statuses}
        others = [place for place, status in enumerate(statuses) if status is not Status.OK]
        values = self.of([rows[place] for place in others], [questions[place] for place in others])
        for name, given in values.items():
            column = columns.setdefault(name, [None] * len(rows))
            for place, value in zip(others, given, strict=True):
                column[place] = value
        return columns

    def _result(self, question: str | Failure, state: QuestionState) -> Consensus | None:
        if isinstance(question, Failure) or self.consensus is None:
            return None
        verdict = self.consensus.of(question)
        if verdict is None or self._book is None:
            return None
        key = self._book.key
        agreeing = [vote for vote in state.answers if key(vote[1].answer) == verdict.answer]
        return Consensus(
            status=verdict.status(self._spec.votes.min),
            shown=(agreeing or state.answers)[-1],
            agreement=verdict.agreement,
            confidence=verdict.confidence,
            settled=verdict.settled,
        )
