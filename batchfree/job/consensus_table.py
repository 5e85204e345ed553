"""The consensus on every question of a job that asks for votes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from batchfree.job.vote_book import VoteBook
from batchfree.jobspec import JobSpec
from batchfree.journal.attempts import Status
from batchfree.quality.consensus import consensus
from batchfree.quality.reliability import fit_reliability
from batchfree.quality.vote_allocation import VotingRule, rows_to_ask


def voting_rule(spec: JobSpec) -> VotingRule:
    """The rule of `votes` in the job file."""
    votes = spec.votes
    return VotingRule(min=votes.min, max=votes.max, agree=votes.agree, budget=votes.budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The consensus on one question. `answer` is the key of the winning answer; None if the best answers are tied.

    `is_open` says that the question may still get votes.
    """

    answer: str | None
    votes: int
    agreement: float
    confidence: float
    settled: bool
    is_open: bool

    def status(self, least: int) -> Status:
        """The status of the row; `least` is the number of votes that every row gets."""
        if self.is_open and (self.votes < least or self.answer is None):
            return Status.PENDING
        return Status.FAILED if self.answer is None else Status.OK


class ConsensusTable:
    """The verdict on each question that has votes, from all votes so far."""

    def __init__(self, book: VoteBook, spec: JobSpec, rows: int) -> None:
        """`rows` is the number of rows of the job, which the budget depends on."""
        self._book, self._rule, self._rows = book, voting_rule(spec), rows
        labels, votes = spec.answer.labels, book.frame()
        self.reliability = None if spec.consensus == "majority" else fit_reliability(votes, labels)
        """The reliability of the models by these votes; None for a consensus that needs none."""
        decided = consensus(votes, self._rule, method=spec.consensus, labels=labels, reliability=self.reliability)
        self._decided = decided
        self._place = dict(zip(decided["row"].to_list(), range(len(decided)), strict=True))
        self._columns = {name: decided[name].to_list() for name in decided.columns}
        self._open = set(self.to_ask().to_list())

    @property
    def has_open(self) -> bool:
        """Whether any question may still get votes."""
        return bool(self._open)

    def mean_agreement(self) -> float | None:
        """The mean share of votes for the answer, over the questions with several votes; None if there are none."""
        shares = self._decided.filter(pl.col("votes") > 1)["agreement"]
        mean = shares.mean()
        return float(mean) if isinstance(mean, int | float) else None

    def of(self, question: str) -> Verdict | None:
        """The verdict on a question, by its digest; None if it has no vote."""
        number = self._book.number(question)
        place = None if number is None else self._place.get(number)
        if place is None:
            return None
        facts: dict[str, Any] = {name: values[place] for name, values in self._columns.items()}
        return Verdict(
            answer=facts["answer"],
            votes=facts["votes"],
            agreement=facts["agreement"],
            confidence=facts["confidence"],
            settled=facts["settled"],
            is_open=number in self._open,
        )

    def to_ask(self) -> pl.Series:
        """The numbers of the questions that may get another vote, the most urgent first."""
        numbers = pl.DataFrame({"row": pl.int_range(self._book.questions, dtype=pl.UInt32, eager=True)})
        known = self._decided.select(pl.col("row").cast(pl.UInt32), "votes", "lead", "confidence")
        state = numbers.join(known, on="row", how="left")
        missing = self._rows - len(state)  # rows without any attempt count for the budget
        if missing > 0:
            ids = pl.int_range(len(state), self._rows, dtype=pl.UInt32, eager=True)
            state = pl.concat([state, pl.DataFrame({"row": ids})], how="diagonal")
        asked = rows_to_ask(state, self._rule, closed=self._book.closed())
        return asked.filter(asked < self._book.questions)
