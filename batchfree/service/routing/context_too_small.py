"""Rows that a model found too long: whether a model with a larger context is left."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from batchfree.core.chat import Failure
from batchfree.service.routing.draw import Draw
from batchfree.service.routing.eligibility import larger
from batchfree.service.routing.requirements import Requirements
from batchfree.service.routing.situation import Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextTooSmall:
    """After a refusal for length: whether an eligible model has a larger context than `tokens` (None: unknown)."""

    larger_left: bool
    tokens: int | None


def context_too_small(failure: Failure, draw: Draw, needs: Requirements, situation: Situation) -> ContextTooSmall:
    """Where a row may go that a model found too long."""
    refusing = situation.pool.named(failure.model or (draw.models[0] if len(draw.models) == 1 else None))
    models = situation.pool.eligible(replace(needs, prompt_tokens=0), situation.today) or ()
    return ContextTooSmall(
        larger_left=bool(larger(models, refusing)), tokens=None if refusing is None else refusing.context_length
    )
