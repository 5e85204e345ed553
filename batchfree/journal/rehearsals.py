"""Rehearsals: which attempts of a journal count on an endpoint.

The models of the emulation of OpenRouter have ids that begin with `emulated/`. Their answers must never count as real
ones.
"""

from __future__ import annotations

from functools import lru_cache

from batchfree.core.urls import EMBEDDED
from batchfree.journal.attempts import Attempt

EMULATED = "emulated/"
"""How the id of every emulated model begins."""


def is_emulated(model: str | None) -> bool:
    """Whether a model id names a model of the emulation."""
    return model is not None and model.startswith(EMULATED)


def rehearsal_at(base_url: str, model: str | None, models: tuple[str, ...]) -> str | None:
    """The value of `Attempt.rehearsal` for an attempt on this endpoint: `model` answered, `models` were asked."""
    return base_url if base_url == EMBEDDED or _names_emulated(model, models) else None


def counts_on(attempt: Attempt, base_url: str) -> bool:
    """Whether an attempt counts in a run on this endpoint.

    On `embedded` every attempt counts. On another endpoint an attempt of the emulation counts only if the same endpoint
    made it, such as a server that `batchfree emulate` has started.
    """
    if base_url == EMBEDDED:
        return True
    if attempt.rehearsal is not None:
        return attempt.rehearsal == base_url
    return not _names_emulated(attempt.model, attempt.models)


@lru_cache(maxsize=1024)
def _names_emulated(model: str | None, models: tuple[str, ...]) -> bool:
    """Whether one of the models is emulated. Remembered, because most lines of a journal name the same few models."""
    return is_emulated(model) or any(map(is_emulated, models))
