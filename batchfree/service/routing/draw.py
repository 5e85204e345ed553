"""Whom to ask: a random draw among healthy models that this row has not tried, and what the reply teaches."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeAlias

from batchfree.core.chat import Completion, Failure, Judged, Kind
from batchfree.core.routes import FREE_ROUTER, LOCAL, MOST_MODELS, is_free_id
from batchfree.service.routing.eligibility import Policy
from batchfree.service.routing.health import (
    ALONE,
    DOUBTFUL,
    FAULTS,
    OF_FEW,
    OF_MANY,
    OF_ROUTER,
    Health,
    after,
    available_at,
    is_available,
    is_left,
    on_trial,
    refuses,
    weight,
)
from batchfree.service.routing.model import Model
from batchfree.service.routing.requirements import Requirements

PATIENCE_S = 60.0
"""An untried model that rests no longer than this is waited for."""
SERVICE_TOKENS = 32_000
"""Prompts up to this size are left to the service's draw, which is not known to look at the context length."""
FEW = 3
"""Up to so many models rest less when they fail, since the others can't do all the work."""
DOWN_REST_S = 300.0
BARREN = 40
"""Requests in a row without one answer, after which the pool counts as down."""

Joins: TypeAlias = Callable[[Model, Model], bool]
"""Whether a model may travel as a fallback of another one: it can be asked in the same words."""
Worth: TypeAlias = Callable[[Model], float]
"""How much a request to a model brings, against 1 for the most that any can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Whom to ask: `route` is what the attempt is recorded under, `models` the primary and then its fallbacks.

    `of` counts the models that could be asked, as far as it is known.
    """

    route: str
    models: tuple[str, ...]
    of: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Nobody may be asked before `until` (epoch seconds)."""

    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """No model may be asked, ever, and why."""

    reason: str


def choose(
    models: Sequence[Model],
    *,
    tried: Collection[str],
    health: Mapping[str, Health],
    now: float,
    rng: random.Random,
    fallbacks: int = 0,
    joins: Joins | None = None,
    worth: Worth | None = None,
) -> Draw | Rest | Nothing:
    """One of these eligible models at random, and up to `fallbacks` more to travel with it.

    None that the row has tried while another is left. One that rests for at most a minute is waited for; one that rests
    for longer is tried early before the row goes back to a model that it has tried, unless it is gone for the day.
    (Long by its arguments.)
    """
    if not models:
        return Nothing(reason="no free model can do what the request needs")
    known = {model.id: health.get(model.id, Health()) for model in models}
    ready = [model for model in models if is_available(known[model.id], now)]
    untried = [model for model in ready if model.id not in tried]
    left = [model for model in models if model.id not in tried and is_left(known[model.id], now)]
    pool = untried or left or ready
    if not ready:
        return Rest(until=min(available_at(each, now) for each in known.values()))
    soon = min(available_at(known[model.id], now) for model in pool)
    if now < soon <= now + PATIENCE_S:
        return Rest(until=soon)
    first, *others = _shuffled(pool, known, now, rng, worth)
    company = (each for each in others if known[each.id].strikes == 0 and _joins(each, first, joins))
    drawn = (first, *islice(company, min(fallbacks, MOST_MODELS - 1)))
    return Draw(route=LOCAL, models=tuple(model.id for model in drawn), of=len(models))


def _joins(model: Model, first: Model, joins: Joins | None) -> bool:
    return is_free_id(first.id) and is_free_id(model.id) and (joins is None or joins(model, first))


def _shuffled(
    pool: Sequence[Model], known: Mapping[str, Health], now: float, rng: random.Random, worth: Worth | None
) -> list[Model]:
    """The models in random order; those of more weight tend to come first (Efraimidis and Spirakis, 2006).

    A model's lot hangs on the generator and its id alone: whoever else is there, and in whatever order, two models come
    in the same order.
    """
    salt = rng.getrandbits(64)

    def rank(model: Model) -> float:
        heavy = weight(known[model.id], now) * (1.0 if worth is None else worth(model))
        digest = hashlib.blake2b(f"{salt} {model.id}".encode(), digest_size=8).digest()
        return math.log((int.from_bytes(digest) + 1) / 2**64) / max(heavy, 1e-9)

    return sorted(pool, key=rank, reverse=True)


def plan_draw(
    route: Sequence[str],
    models: Sequence[Model] | None,
    *,
    tried: Collection[str],
    first: bool,
    health: Mapping[str, Health],
    now: float,
    rng: random.Random,
    policy: Policy,
    requirements: Requirements,
    fallbacks: int = 0,
    joins: Joins | None = None,
    worth: Worth | None = None,
) -> Draw | Rest | Nothing:
    """Whom to ask in one attempt. `models` are the eligible ones; None: there is no catalogue at all.

    `first`: the row's first attempt in this run. On the route `openrouter/free` the service draws for it, unless the
    row has tried models before, the user restricts the draw, the prompt is long, or the service's draw keeps failing.
    (Long by its arguments.)
    """
    service = tuple(route) == (FREE_ROUTER,)
    router = health.get(FREE_ROUTER, Health())
    if service and models is None:
        return _service_draw() if is_available(router, now) else Rest(until=available_at(router, now))
    fresh = first and not tried and not policy.restricts and requirements.context <= SERVICE_TOKENS
    if service and fresh and models and is_available(router, now):
        return _service_draw()
    candidates = [Model(id=each) for each in route if each != LOCAL] if models is None else models
    able = [model for model in candidates if not refuses(health.get(model.id, Health()), requirements.parameters)]
    if candidates and not able:
        return Nothing(reason="every eligible model has refused a parameter of the request")
    drawn = choose(able, tried=tried, health=health, now=now, rng=rng, fallbacks=fallbacks, joins=joins, worth=worth)
    if isinstance(drawn, Rest) and service and fresh and models:
        return Rest(until=min(drawn.until, available_at(router, now)))
    named = isinstance(drawn, Draw) and tuple(route) not in ((FREE_ROUTER,), (LOCAL,))
    return replace(drawn, route=drawn.models[0]) if isinstance(drawn, Draw) and named else drawn


def _service_draw() -> Draw:
    return Draw(route=FREE_ROUTER, models=(FREE_ROUTER,))


def claim(draw: Draw, health: Mapping[str, Health], now: float) -> dict[str, Health]:
    """The healths that change when this draw is sent: a model after its rest is tried by one request at a time."""
    before = {each: health.get(each, Health()) for each in draw.models}
    return {each: claimed for each, known in before.items() if (claimed := on_trial(known, now)) != known}


def learn(
    draw: Draw, judged: Judged, health: Mapping[str, Health], now: float, *, answer: Failure | None = None
) -> dict[str, Health]:
    """The healths that change when this draw's response is in; `answer` is what was wrong with a reply that came.

    Where the service failed over to a sibling, those before it have failed; where it failed altogether, all have.
    """
    outcome = judged if isinstance(judged, Failure) else answer
    lessons = dict.fromkeys(_concerned(draw, judged), outcome)
    if draw.route != FREE_ROUTER and judged.model in draw.models:
        lessons |= dict.fromkeys(draw.models[: draw.models.index(judged.model)], PASSED_OVER)
    learned = {each: _after(each, draw, judged, lesson, health, now) for each, lesson in lessons.items()}
    for each in set(draw.models) - learned.keys():  # nothing learned, but a trial is over
        learned[each] = replace(health.get(each, Health()), trial_until=0.0)
    return {each: value for each, value in learned.items() if value != health.get(each, Health())}


PASSED_OVER = Failure(kind=Kind.UPSTREAM_ERROR, message="the service passed it over")


def _concerned(draw: Draw, judged: Judged) -> tuple[str, ...]:
    """Whom a response speaks about: the router and the model that it drew; of models drawn here the one that is named
    (some servers name it otherwise than it was asked for); else all, since the service tries them all before it gives
    up. An answer, or none in time, is the first one's."""
    if draw.route == FREE_ROUTER:
        return (FREE_ROUTER, judged.model) if judged.model else (FREE_ROUTER,)
    if judged.model in draw.models:
        return (judged.model,)
    first_only = isinstance(judged, Completion) or judged.kind in (Kind.TIMEOUT, Kind.CONNECTION)
    return draw.models[:1] if first_only else draw.models


def _after(
    each: str, draw: Draw, judged: Judged, lesson: Failure | None, health: Mapping[str, Health], now: float
) -> Health:
    """One health after its lesson. The router is no model: its draws are judged by how often they fail."""
    known = health.get(each, Health())
    if lesson is None:
        return after(known, None, now)
    if each == FREE_ROUTER:
        failed = lesson.kind in FAULTS | DOUBTFUL
        return after(
            known,
            Failure(kind=Kind.BAD_ANSWER if failed else lesson.kind, message=lesson.message),
            now,
            rests=OF_ROUTER,
        )
    if judged.model != each and len(draw.models) > 1:  # whose fault of several is not known: no lasting judgement
        lesson = replace(lesson, permanent=False, unsupported=None)
    rests = OF_MANY if draw.of is None or draw.of > FEW else OF_FEW if draw.of > 1 else ALONE
    return after(known, lesson, now, rests=rests)


def pool_is_down(models: Sequence[Model], health: Mapping[str, Health], now: float, barren: int) -> bool:
    """Whether to give up for now: every eligible model rests for longer than five minutes, or `barren` requests in a
    row brought no answer."""
    resting = [health.get(model.id, Health()).rests_until > now + DOWN_REST_S for model in models]
    return barren >= BARREN or (bool(resting) and all(resting))
