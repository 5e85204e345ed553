"""Attempts as a journal holds them, for tests of what is counted from them."""

from __future__ import annotations

from datetime import UTC, datetime

from batchfree.core.chat import Kind
from batchfree.journal.attempts import Attempt, Outcome

Q = "0" * 32


def attempt(kind: Kind | None = None, *, final: bool = False, model: str | None = "a:free", size: int = 1) -> Attempt:
    """An attempt at `size` rows; the first row asks `Q`. Without `kind` the row has the answer `yes`."""
    mine = Outcome(question=Q, row=0, kind=kind, error=kind and "why", final=final, answer=None if kind else "yes")
    others = tuple(Outcome(question=f"{number:032x}", row=number, answer="no") for number in range(1, size))
    return Attempt(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        route="local",
        models=("x:free", "y:free"),
        model=model,
        kind=kind if size == 1 else None,
        content=None if kind else "yes",
        prompt_tokens=10,
        outcomes=(mine, *others),
    )
