"""The results of each model in a job, counted from its attempts. `models` shows them to people.

`service.routing.health` is different: it forgets with time and decides which models a run asks. `pack_statistics`
counts whole packs instead of rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from batchfree.core.chat import JsonObject
from batchfree.journal.attempts import Attempt


@dataclass(slots=True)
class ModelStatistics:
    """Rows that a model answered, rows that it failed, and the kind of its last failure."""

    answered: int = 0
    failed: int = 0
    last_failure: str | None = None

    def add(self, attempt: Attempt) -> None:
        """Counts one more attempt of the model."""
        failures = [str(outcome.kind) for outcome in attempt.outcomes if outcome.kind is not None]
        self.answered += len(attempt.outcomes) - len(failures)
        if failures:
            self.failed += len(failures)
            self.last_failure = failures[-1]

    def note(self) -> str:
        """The numbers as half a line of text; empty for a model without attempts."""
        if not self.answered + self.failed:
            return ""
        last = f", last {self.last_failure}" if self.last_failure else ""
        return f"{self.answered:,} rows answered, {self.failed:,} failed{last}"

    def to_json(self) -> JsonObject:
        """The numbers as JSON for `models --json`."""
        return {"answered": self.answered, "failed": self.failed, "last_failure": self.last_failure}


def model_statistics(attempts: Iterable[Attempt]) -> dict[str, ModelStatistics]:
    """The statistics of each model that these attempts name. Failures of the account are left out."""
    statistics: dict[str, ModelStatistics] = {}
    for attempt in attempts:
        if attempt.model and attempt.is_counted:
            statistics.setdefault(attempt.model, ModelStatistics()).add(attempt)
    return statistics
