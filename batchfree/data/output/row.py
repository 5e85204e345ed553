"""What the output table says of one question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchfree.journal.attempts import QuestionState, Status


def share(total: int | None, parts: int, place: int) -> int | None:
    """The part of `total` that falls to the row at `place` (from zero) of a pack; the parts add up to the total."""
    if total is None:
        return None
    return total // parts + (place < total % parts)


def describe(state: QuestionState) -> Mapping[str, Any]:
    """A question's columns in the output table, by name; those that have nothing to say are left out."""
    attempt, outcome = state.shown, state.outcome
    if attempt is None or outcome is None:
        return {"status": state.status, "attempts": state.attempts, "models_tried": []}
    place, size = attempt.outcomes.index(outcome), len(attempt.outcomes)
    failed = state.status is not Status.OK
    return {
        "status": state.status,
        "answer": outcome.answer,
        "response": attempt.content,
        "model": attempt.model if attempt.content is not None else None,
        "provider": attempt.provider,
        "route": attempt.route,
        "attempts": state.attempts,
        "models_tried": list(state.models_tried),
        "error_kind": outcome.kind if failed else None,
        "error": outcome.error if failed else None,
        "finish_reason": attempt.finish_reason,
        "prompt_tokens": share(attempt.prompt_tokens, size, place),
        "completion_tokens": share(attempt.completion_tokens, size, place),
        "cost": attempt.cost / size,
        "latency_s": attempt.latency_s,
        "request_id": attempt.request_id,
        "answered_at": attempt.at if not failed else None,
        "pack_size": size,
        "repaired": outcome.repaired,
    }
