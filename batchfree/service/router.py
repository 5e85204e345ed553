"""batchfree's own free router at work: the catalogue and the models' health of one run, and the draws from them."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Protocol

from batchfree.core.chat import ChatRequest, Completion, Failure, Judged
from batchfree.core.errors import UnavailableError
from batchfree.core.routes import FREE_ROUTER, LOCAL
from batchfree.journal.attempts import Attempt
from batchfree.service import routing
from batchfree.service.routing import STRUCTURED, Draw, Health, Model, Nothing, Policy, Requirements, Rest


class Catalogue(Protocol):
    """What is on offer; raises UnavailableError where the service is down and nothing was kept."""

    async def models(self) -> Sequence[Model]: ...

    async def refresh(self) -> Sequence[Model]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a request needs drawn: who has been asked before, and whether a schema may or must go along.

    `rows` want to travel together, of which a model is given at most `most`. `seed` makes the draw repeatable.
    """

    needs: Requirements
    tried: Collection[str]
    first: bool
    native: bool
    native_only: bool
    rows: int = 1
    most: Callable[[str], int] = lambda model: 1
    seed: str | None = None

    def given(self, model: Model) -> int:
        """The rows that a model is given."""
        return min(self.rows, self.most(model.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A draw, and whether the request carries `response_format` there; `models` are all that may answer, where they
    are known."""

    draw: Draw
    native: bool
    models: tuple[Model, ...] = ()


def needs_of(request: ChatRequest, *, native_only: bool, context_above: int | None = None) -> Requirements:
    """What a request needs of a model. `native_only`: it must take schemas; `context_above`: so many tokens were too
    few for the context."""
    needs = routing.analyze(request)
    parameters = needs.parameters | {STRUCTURED} if native_only else needs.parameters
    return replace(needs, parameters=parameters, context_above=context_above)


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
        rng: random.Random,
    ) -> None:
        self._route, self._policy, self._fallbacks = tuple(route), policy, fallbacks
        self._catalogue, self._clock, self._rng = catalogue, clock, rng
        self._offered: Sequence[Model] | None = None
        self._models: tuple[Model, ...] | None = None
        self._able: dict[tuple[Requirements, date], tuple[Model, ...]] = {}
        self._health: dict[str, Health] = {}
        self._barren = 0
        self._gone = False

    async def refresh(self) -> None:
        """Looks whether the catalogue has changed; it says itself how often that is worth a call.

        Raises UnavailableError where the draw is made here and nothing is known to draw from.
        """
        offered: Sequence[Model] | None
        try:
            offered = await (self._catalogue.refresh() if self._gone else self._catalogue.models())
        except UnavailableError:
            if self._route == (LOCAL,):
                raise
            offered = () if self._policy.any_model else None
        self._gone = False
        if offered is not self._offered:
            self._offered, self._able = offered, {}
            self._models = None if offered is None else routing.offer(offered, self._policy)

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
        models = self.eligible(ask.needs)
        drawn = routing.plan_draw(
            self._route,
            models,
            tried=ask.tried,
            first=ask.first,
            health=self._health,
            now=self._clock(),
            rng=self._rng if ask.seed is None else random.Random(ask.seed),
            policy=self._policy,
            requirements=ask.needs,
            fallbacks=self._fallbacks,
            joins=lambda model, first: self._joins(model, first, ask),
            worth=lambda model: ask.given(model) / ask.rows,
        )
        if not isinstance(drawn, Draw):
            return drawn
        native = ask.native and self._native(drawn, models, ask.native_only)
        service = drawn.models == (FREE_ROUTER,)
        asked = tuple(model for model in models or () if service or model.id in drawn.models)
        return Plan(draw=drawn, native=native, models=asked)

    def claim(self, draw: Draw) -> None:
        """The draw is being sent: a model that is on trial is tried by one request at a time."""
        self._health.update(routing.claim(draw, self._health, self._clock()))

    def learn(self, draw: Draw, judged: Judged, attempt: Attempt) -> None:
        """Takes in what came back."""
        self._learn(draw, judged, attempt, self._clock())
        self._gone = self._gone or attempt.permanent

    def is_down(self, needs: Requirements) -> bool:
        """Whether the pool counts as down for such a request; without a catalogue the service's own draw is all."""
        models = self.eligible(needs)
        models = (Model(id=FREE_ROUTER),) if models is None else models
        return routing.pool_is_down(models, self._health, self._clock(), self._barren)

    def are_gone(self, needs: Requirements) -> bool:
        """Whether the models that the route names are not there any more, all of those that might answer."""
        models, now = (self.eligible(needs) if self._policy.ids else None) or (), self._clock()
        known = [self._health.get(model.id, Health()) for model in models]
        return bool(known) and all(each.gone and now < each.rests_until for each in known)

    def is_too_long(self, needs: Requirements) -> bool:
        """Whether some model could answer if the request were shorter, and none as it is."""
        return self.eligible(needs) == () and bool(self.eligible(routing.without_lengths(needs)))

    def why_none(self, needs: Requirements) -> str:
        """Why no model may answer such a request, in a sentence."""
        reasons = routing.why_none(self._models or (), needs, self._policy, self._today())
        return "; ".join(reasons) or "the catalogue is empty"

    def leaves_one(self, needs: Requirements, tried: Collection[str]) -> bool:
        """Whether a model that may answer now is not among those tried."""
        models, now = self.eligible(needs), self._clock()
        return models is None or any(
            model.id not in tried and routing.is_available(self._health.get(model.id, Health()), now)
            for model in models
        )

    def larger_left(self, needs: Requirements, failure: Failure, asked: Sequence[str]) -> bool:
        """Whether an eligible model has a larger context than the one that refused."""
        models = self.eligible(replace(needs, prompt_tokens=0)) or ()
        return bool(routing.larger(models, self._refusing(failure, asked)))

    def context_of(self, failure: Failure, asked: Sequence[str]) -> int | None:
        """The context, in tokens, that was too small."""
        model = self._refusing(failure, asked)
        return None if model is None else model.context_length

    def eligible(self, needs: Requirements) -> tuple[Model, ...] | None:
        """The models that may answer; None where there is no catalogue."""
        if self._models is None:
            return None
        key = (routing.without_lengths(needs), self._today())
        if key not in self._able:
            self._able[key] = routing.eligible(self._models, key[0], self._policy, key[1])
        return tuple(model for model in self._able[key] if routing.is_large_enough(model, needs))

    def _refusing(self, failure: Failure, asked: Sequence[str]) -> Model | None:
        name = failure.model or (asked[0] if len(asked) == 1 else None)
        return next((model for model in self._models or () if model.id == name), None)

    def _joins(self, model: Model, first: Model, ask: Ask) -> bool:
        """Whether a model is asked in the same words as the first one, and takes as many rows."""
        alike = not ask.native or self._takes_schema(model) is self._takes_schema(first)
        return alike and ask.given(model) >= ask.given(first)

    def _takes_schema(self, model: Model) -> bool:
        health = self._health.get(model.id, Health())
        return STRUCTURED in model.parameters and not routing.refuses(health, (STRUCTURED,))

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
        if attempt.is_counted:
            self._barren = 0 if len(failures) < len(attempt.outcomes) else self._barren + 1

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()
