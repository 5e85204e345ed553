"""The free models on offer: what they can do, whether they may answer, and how they did in a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from batchfree.core.chat import JsonObject
from batchfree.core.errors import Mistake, SpecError
from batchfree.core.routes import is_free_id
from batchfree.job.endpoint import policy
from batchfree.jobspec.job import Job
from batchfree.journal import file as journal
from batchfree.journal.attempts import Attempt
from batchfree.journal.run_folder import RunFolder
from batchfree.service import routing
from batchfree.service.routing import Model, Policy, Requirements
from batchfree.service.routing.eligibility import ABILITIES, INPUT_ABILITIES

RECENT = 86_400.0
"""Seconds for which attempts count as recent."""
INPUTS = {word: kind for kind, word in INPUT_ABILITIES.items()}
PARAMETERS = {word: name for name, word in ABILITIES.items()} | {"structured_outputs": "structured_outputs"}


@dataclass(slots=True)
class Record:
    """How a model did lately in a job: rows that it answered and rows that it failed, and its last failure."""

    answered: int = 0
    failed: int = 0
    last_failure: str | None = None

    def add(self, attempt: Attempt) -> None:
        """One more attempt that the model answered or failed."""
        failures = [str(outcome.kind) for outcome in attempt.outcomes if outcome.kind is not None]
        self.failed += len(failures)
        self.answered += len(attempt.outcomes) - len(failures)
        self.last_failure = failures[-1] if failures else self.last_failure

    def note(self) -> str:
        """In half a line; nothing where it was not asked."""
        if not self.answered + self.failed:
            return ""
        last = f", last {self.last_failure}" if self.last_failure else ""
        return f"{self.answered} rows answered, {self.failed} failed{last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One free model; `reason` says why it may not answer, None that it may."""

    model: Model
    abilities: tuple[str, ...]
    reason: str | None
    health: Record

    def to_json(self) -> JsonObject:
        """As `models --json` prints it."""
        health = self.health
        return {
            "id": self.model.id,
            "context_length": self.model.context_length,
            "max_completion_tokens": self.model.max_completion_tokens,
            "abilities": list(self.abilities),
            "eligible": self.reason is None,
            "reason": self.reason,
            "health": {
                "answered": health.answered,
                "failed": health.failed,
                "last_failure": health.last_failure,
            },
        }


def requirements(abilities: str) -> Requirements:
    """What a list such as `vision,tools` asks for. Raises SpecError with the words that are known."""
    words = [word.strip().lower() for word in abilities.split(",") if word.strip()]
    unknown = [word for word in words if word not in INPUTS and word not in PARAMETERS]
    if unknown:
        known = ", ".join(sorted({*INPUTS, *PARAMETERS}))
        raise SpecError([Mistake(key="--requires", message=f"unknown ability {unknown[0]!r}; known are {known}")])
    return Requirements(
        inputs=frozenset(INPUTS[word] for word in words if word in INPUTS),
        parameters=frozenset(PARAMETERS[word] for word in words if word in PARAMETERS),
    )


def offers(models: Sequence[Model], needed: Requirements, job: Job | None, now: float) -> list[Offer]:
    """The free models, those that may answer first; with a job by its own rules and with its record."""
    allowed = policy(job.spec) if job else Policy()
    today = datetime.fromtimestamp(now, UTC).date()
    records = _records(job, now) if job else {}
    found = [
        Offer(
            model=model,
            abilities=routing.abilities(model),
            reason=routing.refusal(model, needed, allowed, today),
            health=records.get(model.id, Record()),
        )
        for model in routing.offer(models, allowed)
        if allowed.any_model or is_free_id(model.id)
    ]
    return sorted(found, key=lambda offer: (offer.reason is not None, offer.model.id))


def _records(job: Job, now: float) -> dict[str, Record]:
    """What the job's journal says of each model."""
    records: dict[str, Record] = {}
    for line in journal.read(RunFolder(job.spec.run_dir).journal):
        attempt = line.attempt
        if attempt.model and attempt.is_counted and attempt.at.timestamp() > now - RECENT:
            records.setdefault(attempt.model, Record()).add(attempt)
    return records
