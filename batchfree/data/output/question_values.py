"""The values of batchfree's columns for some questions, from their states and the consensus on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

from batchfree.core.chat import Json, Kind
from batchfree.journal.attempts import Attempt, Outcome, Status
from batchfree.journal.question_state import QuestionState

TIED = "the best answers have equally many votes, and no further vote may be asked for"

Columns: TypeAlias = dict[str, list[Any]]
"""The values of some rows by column name, one list for each column.

A None stands for the column's default, and so does a column that is left out.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consensus:
    """The result of the votes on a question. `shown` is the latest vote that agrees with the answer."""

    status: Status
    shown: tuple[Attempt, Outcome]
    agreement: float
    confidence: float
    settled: bool


def describe(states: Sequence[QuestionState], results: Sequence[Consensus | None] = ()) -> Columns:
    """The values of some questions. `results` are the consensus on each of them; empty in a job without votes.

    The table shows the attempt that answered the question, else the last attempt that counted. A question without an
    attempt has only a status and a count.
    """
    statuses = [state.status for state in states]
    attempts, outcomes = [state.shown for state in states], [state.outcome for state in states]
    for place, result in enumerate(results):
        if result is not None:
            statuses[place] = result.status
            attempts[place], outcomes[place] = result.shown
    answered = [status is Status.OK for status in statuses]
    columns: Columns = {
        "status": statuses,
        "attempts": [state.attempts for state in states],
        "models_tried": [state.models_tried for state in states],
        **_of_attempts(attempts),
        **_of_outcomes(outcomes, answered),
        **_of_requests(attempts, outcomes, answered),
    }
    for place, result in enumerate(results):
        if result is not None:
            put_values(columns, place, _of_votes(states[place], result))
    return columns


def put_values(columns: Columns, place: int, values: Mapping[str, Any]) -> None:
    """Puts values of one row into the columns; `place` counts from zero."""
    for name, value in values.items():
        columns.setdefault(name, [None] * len(columns["status"]))[place] = value


def _of_attempts(attempts: Sequence[Attempt | None]) -> Columns:
    """The values that all rows of a request share."""
    return {
        "response": [each and each.content for each in attempts],
        "model": [None if each is None or each.content is None else each.model for each in attempts],
        "provider": [each and each.provider for each in attempts],
        "route": [each and each.route for each in attempts],
        "finish_reason": [each and each.finish_reason for each in attempts],
        "latency_s": [each and each.latency_s for each in attempts],
        "request_id": [each and each.request_id for each in attempts],
        "pack_size": [each and len(each.outcomes) for each in attempts],
    }


def _of_outcomes(outcomes: Sequence[Outcome | None], answered: Sequence[bool]) -> Columns:
    """The answers, and the last failures of the rows that have none."""
    answers = [each if is_answer else None for each, is_answer in zip(outcomes, answered, strict=True)]
    failures = [None if is_answer else each for each, is_answer in zip(outcomes, answered, strict=True)]
    return {
        "answer": [each and each.answer for each in answers],
        "error_kind": [each and each.kind for each in failures],
        "error": [each and each.error for each in failures],
        "repaired": [each and each.repaired for each in outcomes],
    }


def _of_requests(
    attempts: Sequence[Attempt | None], outcomes: Sequence[Outcome | None], answered: Sequence[bool]
) -> Columns:
    """The times of the answers, and each row's part of the tokens and the cost of its request."""
    answers = [each if is_answer else None for each, is_answer in zip(attempts, answered, strict=True)]
    shown = list(zip(attempts, outcomes, strict=True))
    return {
        "answered_at": [each and each.at for each in answers],
        "prompt_tokens": [each and _share(each.prompt_tokens, each, own) for each, own in shown],
        "completion_tokens": [each and _share(each.completion_tokens, each, own) for each, own in shown],
        "cost": [each and each.cost / len(each.outcomes) for each in attempts],
    }


def _of_votes(state: QuestionState, consensus: Consensus) -> Mapping[str, Any]:
    """The votes, their result, and the row's parts of the tokens and the cost of their requests, summed up."""
    is_tied = consensus.status is Status.FAILED
    return {
        "error_kind": Kind.TIED if is_tied else None,
        "error": TIED if is_tied else None,
        "prompt_tokens": _total(state, attrgetter("prompt_tokens")),
        "completion_tokens": _total(state, attrgetter("completion_tokens")),
        "cost": sum(attempt.cost / len(attempt.outcomes) for attempt, _ in state.answers),
        "votes": [
            {"model": attempt.model_or_route, "answer": vote_text(outcome.answer)} for attempt, outcome in state.answers
        ],
        "agreement": consensus.agreement,
        "confidence": consensus.confidence,
        "settled": consensus.settled,
    }


def _total(state: QuestionState, of: Callable[[Attempt], int | None]) -> int:
    """The sum of the row's parts of a number, over all its votes."""
    parts = [_share(of(attempt), attempt, own) for attempt, own in state.answers]
    return sum(part for part in parts if part is not None)


def _share(total: int | None, attempt: Attempt, own: Outcome | None) -> int | None:
    """The part of a number of the request for the row with the outcome `own`."""
    size = len(attempt.outcomes)
    return total if size == 1 or own is None else row_share(total, size, attempt.outcomes.index(own))


def vote_text(answer: Json) -> str:
    """An answer as the column `votes` shows it: a text as it is, else JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def row_share(total: int | None, parts: int, place: int) -> int | None:
    """The part of `total` for the row at `place` (from zero) of a pack of `parts` rows; the parts add up to `total`."""
    if total is None:
        return None
    return total // parts + (place < total % parts)
