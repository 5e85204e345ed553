"""Draws the models of a request, at random, among healthy models that its rows have not tried."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import msgspec

from batchfree.core.routes import FREE_ROUTER, LOCAL, MOST_MODELS, is_free_id, is_free_route
from batchfree.service.routing.health import available_at, is_available, is_left, refuses, weight
from batchfree.service.routing.model import Model
from batchfree.service.routing.policy import RoutingPolicy
from batchfree.service.routing.situation import Criteria, RoutedRow, Situation

PATIENCE_S = 60.0
"""Longest rest in seconds of an untried model for which a row waits."""
SERVICE_TOKENS = 32_000
"""Tokens. For longer prompts the draw is made here, because the service's draw may ignore the context length."""


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """The models to ask. `route` is recorded with the attempt; `models` are the primary model and then its fallbacks.

    `of` counts the models that could be asked; None if that is not known.
    """

    route: str
    models: tuple[str, ...]
    of: int | None = None

    @property
    def is_services(self) -> bool:
        """Whether the service draws the model."""
        return self.models == (FREE_ROUTER,)

    @property
    def is_own(self) -> bool:
        """Whether the only model is the user's own. No other model can replace it, and it has no quota to waste."""
        return self.of == 1 and not is_free_route(self.models[0])


SERVICE_DRAW = Draw(route=FREE_ROUTER, models=(FREE_ROUTER,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """No model may be asked before `until` (epoch seconds)."""

    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """No model can ever be asked; `reason` says why."""

    reason: str


def draw(
    models: Sequence[Model] | None,
    rows: Sequence[RoutedRow],
    criteria: Criteria,
    situation: Situation,
    policy: RoutingPolicy,
) -> Draw | Rest | Nothing:
    """The models for one attempt of these rows. `models` are the eligible models; None without a catalogue.

    On the route `openrouter/free` the service draws for rows that were not asked in this run, unless they have tried
    models in earlier runs, the user restricts the draw, the prompt is long, or the service's draw keeps failing.
    """
    if policy.route != (FREE_ROUTER,):
        return _draw_here(models, rows, criteria, situation, policy)
    router_at = available_at(situation.health_of(FREE_ROUTER), situation.now)
    new = all(row.attempts == 0 and not row.models_met for row in rows)
    fresh = new and not policy.restricts and criteria.needs.context <= SERVICE_TOKENS
    if (models is None or (fresh and models)) and router_at <= situation.now:
        return SERVICE_DRAW
    if models is None:
        return Rest(until=router_at)
    drawn = _draw_here(models, rows, criteria, situation, policy)
    return Rest(until=min(drawn.until, router_at)) if isinstance(drawn, Rest) and fresh else drawn


def _draw_here(
    models: Sequence[Model] | None,
    rows: Sequence[RoutedRow],
    criteria: Criteria,
    situation: Situation,
    policy: RoutingPolicy,
) -> Draw | Rest | Nothing:
    """The models for one attempt among those that have refused none of its parameters."""
    candidates = [Model(id=each) for each in policy.ids or ()] if models is None else models
    able = candidates
    if situation.has_failures:
        able = [model for model in able if not refuses(situation.health_of(model.id), criteria.needs.parameters)]
    if candidates and not able:
        return Nothing(reason="every eligible model has refused a parameter of the request")
    return choose(able, rows, criteria, situation, fallbacks=policy.fallbacks, named=policy.ids is not None)


def choose(
    models: Sequence[Model],
    rows: Sequence[RoutedRow],
    criteria: Criteria,
    situation: Situation,
    *,
    fallbacks: int = 0,
    named: bool = False,
) -> Draw | Rest | Nothing:
    """A random model for the first row, and up to `fallbacks` more to travel with it.

    The route of the draw is the id of the first model if the user has `named` the models, else `local`.

    No model that the first row has tried is drawn while another model is left. A row waits for a model that rests for
    at most a minute. A model that rests for longer is asked early, unless it is gone for the day. Only then does the
    row return to a model that it has tried.
    """
    if not models:
        return Nothing(reason="no free model can do what the request needs")
    now, health_of = situation.now, situation.health_of
    if len(models) == 1:
        only = models[0].id
        until = available_at(health_of(only), now)
        return Rest(until=until) if until > now else Draw(route=only if named else LOCAL, models=(only,), of=1)
    ready = [model for model in models if is_available(health_of(model.id), now)]
    if not ready:
        return Rest(until=min(available_at(health_of(model.id), now) for model in models))
    tried = rows[0].models_met
    untried = [model for model in ready if model.id not in tried]
    left = [model for model in models if model.id not in tried and is_left(health_of(model.id), now)]
    candidates = untried or left or ready
    soon = min(available_at(health_of(model.id), now) for model in candidates)
    if now < soon <= now + PATIENCE_S:
        return Rest(until=soon)
    first, *others = _shuffled(candidates, rows, criteria, situation)
    company = (each for each in others if _may_join(each, first, rows, criteria, situation))
    drawn = (first, *islice(company, min(fallbacks, MOST_MODELS - 1)))
    route = first.id if named else LOCAL
    return Draw(route=route, models=tuple(model.id for model in drawn), of=len(models))


def _may_join(model: Model, first: Model, rows: Sequence[RoutedRow], criteria: Criteria, situation: Situation) -> bool:
    """Whether a healthy free model may be a fallback: it takes the same request, with as many rows."""
    if situation.health_of(model.id).strikes or not (is_free_id(first.id) and is_free_id(model.id)):
        return False
    alike = not criteria.wants_schema or situation.takes_schema(model) is situation.takes_schema(first)
    carried = [row for row in rows if first.id not in row.models_met]
    met = any(model.id in row.models_met for row in carried)
    return alike and not met and criteria.load(model, rows) >= criteria.load(first, rows)


def _shuffled(
    models: Sequence[Model], rows: Sequence[RoutedRow], criteria: Criteria, situation: Situation
) -> list[Model]:
    """The models in random order. Models of more weight tend to be first.

    Weighted random sampling without replacement (Efraimidis and Spirakis, 2006, doi.org/10.1016/j.ipl.2005.11.003). The
    weight is the weight of the health, times the share of the rows that the model takes. After a pilot the order is
    that of Thompson sampling (1933, doi.org/10.1093/biomet/25.3-4.285): an accuracy is drawn for each model from its
    results in the pilot, and the weight times the accuracy decides. Each model's rank depends only on the salt, its id
    and its weight, so other models never change the order of two models.
    """

    def rank(model: Model) -> float:
        heavy = weight(situation.health_of(model.id), situation.now) * criteria.load(model, rows) / len(rows)
        digest = hashlib.blake2b(f"{criteria.salt} {model.id}".encode(), digest_size=8).digest()
        seed, rating = int.from_bytes(digest), situation.pool.rating(model.id)
        if rating is not None:
            return heavy * random.Random(seed).betavariate(rating.right, rating.wrong)
        return math.log((seed + 1) / 2**64) / max(heavy, 1e-9)

    return sorted(models, key=rank, reverse=True)
