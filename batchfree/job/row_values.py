"""The values of a row in the output table: the state of its question, the consensus on it, and its score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchfree.core.chat import Failure
from batchfree.data.output.question_values import Consensus, describe
from batchfree.job.consensus_table import ConsensusTable
from batchfree.job.vote_book import VoteBook
from batchfree.jobspec import JobSpec
from batchfree.journal.attempts import Status
from batchfree.journal.index import JournalIndex
from batchfree.journal.question_state import QuestionState
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

    def of(self, row: Mapping[str, Any], question: str | Failure) -> Mapping[str, Any]:
        """All values of a row, by column name. `question` is the digest, or why the row cannot be rendered."""
        return self.of_state(row, question, self.state(question))

    def state(self, question: str | Failure) -> QuestionState:
        """The state of a question; the state of an unasked question if the row can't be rendered."""
        return QuestionState() if isinstance(question, Failure) else self._index.state(question)

    def of_state(self, row: Mapping[str, Any], question: str | Failure, state: QuestionState) -> Mapping[str, Any]:
        """The same for a question whose state is known."""
        if isinstance(question, Failure):
            return self._unrenderable(question)
        values = describe(state, self._consensus_on(question, state))
        column = self._spec.expected
        if self._scoring is None or column is None:
            return values
        return {**values, "correct": is_correct(values.get("answer"), row.get(column), self._scoring)}

    def brief(self, row: Mapping[str, Any], question: str | Failure) -> Mapping[str, Any]:
        """Only the status of an answered row, which is much faster; all values of another row."""
        if isinstance(question, Failure):
            return self._unrenderable(question)
        verdict = None if self.consensus is None else self.consensus.of(question)
        status = self._index.status(question) if verdict is None else verdict.status(self._spec.votes.min)
        return {"status": status} if status is Status.OK else self.of(row, question)

    def _unrenderable(self, failure: Failure) -> Mapping[str, Any]:
        if not self._begun:
            return {"status": Status.PENDING}
        return {"status": Status.FAILED, "error_kind": failure.kind, "error": failure.message}

    def _consensus_on(self, question: str, state: QuestionState) -> Consensus | None:
        verdict = None if self.consensus is None else self.consensus.of(question)
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
