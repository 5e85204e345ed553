"""The free models on offer: their abilities, whether they may answer, and their results in a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from msgspec import structs

from batchfree.core.chat import JsonObject
from batchfree.core.errors import Mistake, SpecError
from batchfree.core.routes import is_free_id
from batchfree.job.endpoint import routing_policy
from batchfree.job.needs import needs_of
from batchfree.job.open_job import OpenJob
from batchfree.jobspec.job import Job
from batchfree.journal import journal_lines as journal
from batchfree.journal.model_statistics import ModelStatistics, model_statistics
from batchfree.journal.rehearsals import counts_on
from batchfree.journal.run_folder import RunFolder
from batchfree.service import routing
from batchfree.service.routing import Model, Requirements, RoutingPolicy
from batchfree.service.routing.eligibility import ABILITIES, INPUT_ABILITIES

RECENT = 86_400.0
"""Seconds for which attempts count as recent."""
INPUTS = {word: kind for kind, word in INPUT_ABILITIES.items()}
PARAMETERS = {word: name for name, word in ABILITIES.items()} | {"structured_outputs": "structured_outputs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """One free model. `reason` says why it may not answer; None if it may."""

    model: Model
    abilities: tuple[str, ...]
    reason: str | None
    health: ModelStatistics

    def to_json(self) -> JsonObject:
        """As `models --json` prints it."""
        return {
            "id": self.model.id,
            "context_length": self.model.context_length,
            "max_completion_tokens": self.model.max_completion_tokens,
            "abilities": list(self.abilities),
            "eligible": self.reason is None,
            "reason": self.reason,
            "health": self.health.to_json(),
        }


def requirements(abilities: str) -> Requirements:
    """The needs in a list such as `vision,tools`. Raises SpecError, which names the known abilities."""
    words = [word.strip().lower() for word in abilities.split(",") if word.strip()]
    unknown = [word for word in words if word not in INPUTS and word not in PARAMETERS]
    if unknown:
        known = ", ".join(sorted({*INPUTS, *PARAMETERS}))
        raise SpecError([Mistake(key="--requires", message=f"unknown ability {unknown[0]!r}; known are {known}")])
    return Requirements(
        inputs=frozenset(INPUTS[word] for word in words if word in INPUTS),
        parameters=frozenset(PARAMETERS[word] for word in words if word in PARAMETERS),
    )


def needs_with(needed: Requirements, opened: OpenJob | None) -> Sequence[Requirements]:
    """The needs of a job's rows, each with the `needed` abilities; without a job these alone."""
    if opened is None:
        return (needed,)
    return [
        structs.replace(each, inputs=each.inputs | needed.inputs, parameters=each.parameters | needed.parameters)
        for each in needs_of(opened)
    ]


def model_entries(
    models: Sequence[Model],
    needed: Sequence[Requirements],
    job: Job | None,
    now: float,
    *,
    own_endpoint: bool = False,
) -> list[ModelEntry]:
    """The free models; the models that may answer come first. With a job its rules and its statistics count.

    A model may answer if it meets at least one of the `needed` requirements. If it meets none, the reason is about the
    first one. On an endpoint of the user's own all models are listed, unless the job names models or the server has
    free ones. `now` is in epoch seconds.
    """
    allowed = routing_policy(job.spec) if job else RoutingPolicy(own_endpoint=own_endpoint)
    names_none = job is None or job.spec.router.route is None
    if own_endpoint and names_none and models and not any(is_free_id(model.id) for model in models):
        allowed = replace(allowed, route=tuple(model.id for model in models))
    today = datetime.fromtimestamp(now, UTC).date()
    statistics = _statistics(job, now) if job else {}
    listed = {model.id: model for model in models}
    found = [
        ModelEntry(
            model=model,
            abilities=routing.abilities(listed.get(model.id, model)),
            reason=_reason([routing.refusal(model, each, allowed, today) for each in needed]),
            health=statistics.get(model.id, ModelStatistics()),
        )
        for model in routing.offer(models, allowed)
        if allowed.any_model or is_free_id(model.id)
    ]
    return sorted(found, key=lambda entry: (entry.reason is not None, entry.model.id))


def _reason(reasons: Sequence[str | None]) -> str | None:
    return None if None in reasons else reasons[0]


def _statistics(job: Job, now: float) -> dict[str, ModelStatistics]:
    """The statistics of each model over the last day, from the journal of the job."""
    base_url = job.spec.endpoint.base_url
    journals = RunFolder(job.spec.run_dir).all_journals()
    attempts = (line.attempt for path in journals for line in journal.read_attempts(path))
    recent = (attempt for attempt in attempts if attempt.at.timestamp() > now - RECENT)
    return model_statistics(attempt for attempt in recent if counts_on(attempt, base_url))
