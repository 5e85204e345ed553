"""What a request and its response teach about the health of the models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from batchfree.core.chat import Completion, Failure, Judged, Kind
from batchfree.core.routes import FREE_ROUTER
from batchfree.service.routing.draw import Draw
from batchfree.service.routing.health import (
    ALONE,
    DOUBTFUL,
    FAULTS,
    OF_FEW,
    OF_MANY,
    OF_ROUTER,
    Health,
    after,
    on_trial,
)

FEW = 3
"""Up to this number of models, each rests less when it fails, since the others cannot do all the work."""
PASSED_OVER = Failure(kind=Kind.UPSTREAM_ERROR, message="the service went on to a fallback of this model")


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
