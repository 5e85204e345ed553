"""batchfree's own free router at work: the catalogue and the models' health of one run, and the draws from them."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Protocol

from batchfree import routing
from batchfree.attempts import Attempt
from batchfree.chat import FREE_ROUTER, ChatRequest, Completion, Failure, Judged
from batchfree.errors import UnavailableError
from batchfree.routing import Draw, Health, Model, Nothing, Policy, Requirements, Rest

STRUCTURED = "structured_outputs"
REFUSALS = frozenset({STRUCTURED, "response_format", "json_schema"})
"""Parameters by whose refusal a model says that it takes no schema."""


class Catalogue(Protocol):
    """What is on offer; raises UnavailableError where the service is down and nothing was kept."""

    async def models(self) -> Sequence[Model]: ...

    async def refresh(self) -> Sequence[Model]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a request needs drawn: who has been asked before, and whether a schema may or must go along."""

    request: ChatRequest
    tried: Collection[str]
    first: bool
    native: bool
    native_only: bool
    rng: random.Random
    context_above: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A draw, and whether the request carries `response_format` there."""

    draw: Draw
    native: bool
    contexts: tuple[int | None, ...]
    """Of every model that may answer, in tokens."""


class Router:
    """Draws models for one run and learns from what comes back."""

    def __init__(
        self,
        *,
        route: Sequence[str],
        policy: Policy,
        fallbacks: int,
        catalogue: Catalogue,
        clock: Callable[[], float],
    ) -> None:
        self._route, self._policy, self._fallbacks = tuple(route), policy, fallbacks
        self._catalogue, self._clock = catalogue, clock
        self._models: tuple[Model, ...] | None = None
        self._health: dict[str, Health] = {}
        self._barren = 0
        self._gone = False

    async def refresh(self) -> None:
        """Looks whether the catalogue has changed; it says itself how often that is worth a call.

        Raises UnavailableError where the draw is made here and nothing is known to draw from.
        """
        try:
            models = await (self._catalogue.refresh() if self._gone else self._catalogue.models())
            self._models = routing.offer(models, self._policy)
        except UnavailableError:
            if self._route == (routing.LOCAL,):
                raise
            self._models = routing.offer((), self._policy) if self._policy.any_model else None
        self._gone = False

    def remember(self, attempt: Attempt) -> None:
        """Learns from an attempt of an earlier run."""
        if attempt.kind is None:
            judged: Judged = Completion(model=attempt.model, content=attempt.content or "")
        else:
            judged = Failure(
                kind=attempt.kind,
                message="",
                model=attempt.model,
                permanent=attempt.permanent,
                unsupported=attempt.unsupported,
                content=attempt.content or "",
            )
        self._learn(Draw(route=attempt.route, models=attempt.models), judged, attempt, attempt.at.timestamp())
        self._barren = 0

    def plan(self, ask: Ask) -> Plan | Rest | Nothing:
        """Whom to ask now."""
        requirements = self._requirements(ask)
        models = self.eligible(requirements)
        drawn = routing.plan_draw(
            self._route,
            models,
            tried=ask.tried,
            first=ask.first,
            health=self._health,
            now=self._clock(),
            rng=ask.rng,
            policy=self._policy,
            requirements=requirements,
            fallbacks=self._fallbacks,
            group=lambda model: ask.native and self._takes_schema(model),
        )
        if not isinstance(drawn, Draw):
            return drawn
        native = ask.native and self._native(drawn, models, ask.native_only)
        service = drawn.models == (FREE_ROUTER,)
        asked = [model for model in models or () if service or model.id in drawn.models]
        return Plan(draw=drawn, native=native, contexts=tuple(model.context_length for model in asked))

    def claim(self, draw: Draw) -> None:
        """The draw is being sent: a model that is on trial is tried by one request at a time."""
        self._health.update(routing.claim(draw, self._health, self._clock()))

    def learn(self, draw: Draw, judged: Judged, attempt: Attempt) -> None:
        """Takes in what came back."""
        self._learn(draw, judged, attempt, self._clock())
        self._gone = self._gone or attempt.permanent

    def is_down(self, ask: Ask) -> bool:
        """Whether the pool counts as down for this request."""
        models = self.eligible(self._requirements(ask)) or ()
        return routing.pool_is_down(models, self._health, self._clock(), self._barren)

    def is_too_long(self, ask: Ask) -> bool:
        """Whether some model could answer if the request were shorter."""
        requirements = self._requirements(ask)
        return routing.only_length_forbids(self._models or (), requirements, self._policy, self._today())

    def why_none(self, ask: Ask) -> str:
        """Why no model may answer this."""
        requirements = self._requirements(ask)
        reasons = routing.why_none(self._models or (), requirements, self._policy, self._today())
        return "; ".join(reasons) or "the catalogue is empty"

    def larger_left(self, request: ChatRequest, failure: Failure, asked: Sequence[str]) -> bool:
        """Whether an eligible model has a larger context than the one that refused."""
        models = self.eligible(replace(routing.analyze(request), prompt_tokens=0)) or ()
        return bool(routing.larger(models, self._refusing(failure, asked)))

    def context_of(self, failure: Failure, asked: Sequence[str]) -> int | None:
        """The context, in tokens, that was too small."""
        model = self._refusing(failure, asked)
        return None if model is None else model.context_length

    def eligible(self, requirements: Requirements) -> tuple[Model, ...] | None:
        """The models that may answer; None where there is no catalogue."""
        if self._models is None:
            return None
        return routing.eligible(self._models, requirements, self._policy, self._today())

    def _refusing(self, failure: Failure, asked: Sequence[str]) -> Model | None:
        name = failure.model or (asked[0] if len(asked) == 1 else None)
        return next((model for model in self._models or () if model.id == name), None)

    def _requirements(self, ask: Ask) -> Requirements:
        requirements = routing.analyze(ask.request)
        if ask.native and ask.native_only:
            requirements = replace(requirements, parameters=requirements.parameters | {STRUCTURED})
        return replace(requirements, context_above=ask.context_above)

    def _takes_schema(self, model: Model) -> bool:
        refused = self._health.get(model.id, Health()).refused
        return STRUCTURED in model.parameters and not refused & REFUSALS

    def _native(self, draw: Draw, models: Sequence[Model] | None, native_only: bool) -> bool:
        if native_only or models is None:
            return native_only
        if draw.models == (FREE_ROUTER,):
            return any(self._takes_schema(model) for model in models)
        return all(self._takes_schema(model) for model in models if model.id in draw.models)

    def _learn(self, draw: Draw, judged: Judged, attempt: Attempt, now: float) -> None:
        failures = [outcome for outcome in attempt.outcomes if outcome.kind is not None]
        answer = None
        if 2 * len(failures) > len(attempt.outcomes) and failures[0].kind is not None:
            answer = Failure(kind=failures[0].kind, message=failures[0].error or "", model=attempt.model)
        self._health.update(routing.learn(draw, judged, self._health, now, answer=answer))
        if attempt.counts:
            self._barren = 0 if len(failures) < len(attempt.outcomes) else self._barren + 1

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()
