"""The decision of a pilot: the models that answer the rest of the job."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import polars as pl

from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.job.row_values import scoring_rule
from batchfree.job.state import JobState
from batchfree.journal.attempts import PilotDecision, RankedPilotModel
from batchfree.quality.pilot import models_to_keep, rank_models
from batchfree.quality.scoring import is_correct

SCHEMA = {"row": pl.UInt32, "model": pl.String, "answer": pl.String, "correct": pl.Boolean}


def decide_pilot(state: JobState, questions: Collection[str]) -> PilotDecision:
    """Ranks the models by their votes on these questions and keeps the better ones. Raises StorageError."""
    spec = state.opened.spec
    assert spec.pilot is not None
    votes = pl.DataFrame(list(_votes(state, questions)), schema=SCHEMA, orient="row")
    ranked = rank_models(votes, spec.answer.labels)
    kept = models_to_keep(ranked, spec.pilot.keep, at_least=spec.votes.min)
    ranking = tuple(
        RankedPilotModel(
            model=each.model, right=each.right.share or 0.0, votes=each.right.total, measured=each.measured
        )
        for each in ranked
    )
    return PilotDecision(kept=tuple(kept), ranking=ranking)


def _votes(state: JobState, questions: Collection[str]) -> Iterator[tuple[Any, ...]]:
    """All votes on the pilot's questions, also unreadable ones, each with its score if there is one."""
    book = state.votes
    assert book is not None
    expected = _expected(state, questions)
    rule = scoring_rule(state.opened.spec)
    for question in questions:
        for attempt in state.index.attempts(question):
            for outcome in attempt.outcomes:
                if outcome.question != question or attempt.model is None:
                    continue
                if outcome.kind is not None and CONSEQUENCES[outcome.kind] is not Consequence.ANOTHER_ANSWER:
                    continue
                wanted = expected.get(question)
                correct = None if rule is None or wanted is None else bool(is_correct(outcome.answer, wanted, rule))
                key = None if outcome.kind is not None else book.key(outcome.answer)
                yield book.number(question), attempt.model_or_route, key, correct


def _expected(state: JobState, questions: Collection[str]) -> dict[str, Any]:
    """The expected values of the questions that have one."""
    column, expected = state.opened.spec.expected, dict[str, Any]()
    if column is None:
        return expected
    left = set(questions)
    for row in state.opened.rows():
        question = state.opened.question_of(row)
        if isinstance(question, str) and question in left:
            left.discard(question)
            expected[question] = row.get(column)
        if not left:
            break
    return expected
