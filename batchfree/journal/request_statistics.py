"""How many requests were sent, and how many of them brought no answer: by model and by cause."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from batchfree.core.chat import JsonObject
from batchfree.journal.attempts import UNCOUNTED, Attempt

THE_ACCOUNT = "the account"
"""Stands for a model if a limit of the account refused the request."""


@dataclass(slots=True)
class RequestStatistics:
    """Requests, and those without any answer by model and kind of failure."""

    requests: int = 0
    wasted: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, attempt: Attempt) -> None:
        """Counts one more attempt."""
        if not attempt.models:
            return
        self.requests += 1
        failure = attempt.main_failure
        if failure is not None:
            model = THE_ACCOUNT if failure in UNCOUNTED else attempt.model_or_route
            self.wasted.setdefault(model, Counter())[str(failure)] += 1

    @property
    def without_answer(self) -> int:
        """Requests that brought no answer."""
        return sum(kinds.total() for kinds in self.wasted.values())

    def to_json(self) -> JsonObject:
        """As `--json` prints it."""
        wasted = {model: dict(kinds) for model, kinds in sorted(self.wasted.items())}
        return {"requests": self.requests, "without_answer": self.without_answer, "wasted": wasted}
