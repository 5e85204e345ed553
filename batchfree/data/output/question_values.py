"""The values of batchfree's columns for one question, from the state of the question and the consensus on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from batchfree.core.chat import Json, Kind
from batchfree.journal.attempts import Attempt, Outcome, Status
from batchfree.journal.question_state import QuestionState

TIED = "the best answers have equally many votes, and no further vote may be asked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consensus:
    """The result of the votes on a question. `shown` is the latest vote that agrees with the answer."""

    status: Status
    shown: tuple[Attempt, Outcome]
    agreement: float
    confidence: float
    settled: bool


def describe(state: QuestionState, consensus: Consensus | None = None) -> Mapping[str, Any]:
    """A question's values by column name. A question without an attempt has only a status and a count.

    The table shows the attempt that answered the question, else the last attempt that counted.
    """
    if state.shown is None or state.outcome is None:
        return {"status": state.status, "attempts": state.attempts}
    if consensus is not None:
        return _of_attempt(state, *consensus.shown, consensus.status) | _of_votes(state, consensus)
    return _of_attempt(state, state.shown, state.outcome, state.status)


def _of_attempt(state: QuestionState, attempt: Attempt, outcome: Outcome, status: Status) -> dict[str, Any]:
    """The values of the attempt that is shown. Of tokens and cost each row of a pack has its part."""
    is_answer, content, size = status is Status.OK, attempt.content, len(attempt.outcomes)
    place = attempt.outcomes.index(outcome) if size > 1 else 0
    return {
        "status": status,
        "answer": outcome.answer if is_answer else None,
        "response": content,
        "model": None if content is None else attempt.model,
        "provider": attempt.provider,
        "route": attempt.route,
        "attempts": state.attempts,
        "models_tried": state.models_tried,
        "error_kind": None if is_answer else outcome.kind,
        "error": None if is_answer else outcome.error,
        "finish_reason": attempt.finish_reason,
        "prompt_tokens": row_share(attempt.prompt_tokens, size, place),
        "completion_tokens": row_share(attempt.completion_tokens, size, place),
        "cost": attempt.cost / size,
        "latency_s": attempt.latency_s,
        "request_id": attempt.request_id,
        "answered_at": attempt.at if is_answer else None,
        "pack_size": size,
        "repaired": outcome.repaired,
    }


def _of_votes(state: QuestionState, consensus: Consensus) -> dict[str, Any]:
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
    parts = [row_share(of(each), len(each.outcomes), each.outcomes.index(own)) for each, own in state.answers]
    return sum(part for part in parts if part is not None)


def vote_text(answer: Json) -> str:
    """An answer as the column `votes` shows it: a text as it is, else JSON."""
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def row_share(total: int | None, parts: int, place: int) -> int | None:
    """The part of `total` for the row at `place` (from zero) of a pack of `parts` rows; the parts add up to `total`."""
    if total is None or parts == 1:
        return total
    return total // parts + (place < total % parts)
