"""Learns the health of the models from requests and their responses."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from batchfree.core.chat import Completion, Failure, Judged, Kind
from batchfree.core.routes import FREE_ROUTER
from batchfree.service.routing.draw import Draw
from batchfree.service.routing.health import (
    ALONE,
    DOUBTFUL,
    FAULTS,
    NEW,
    OF_FEW,
    OF_MANY,
    OF_ROUTER,
    OWN,
    Health,
    Rests,
    after,
    on_trial,
)
from batchfree.service.routing.model import is_safety_classifier

FEW = 3
"""Up to this number of models each of them rests less, because the others can't do all the work."""
PASSED_OVER = Failure(kind=Kind.UPSTREAM_ERROR, message="the service went on to a fallback of this model")


def claim(draw: Draw, health: Mapping[str, Health], now: float) -> dict[str, Health]:
    """The healths that change when a request to this draw is sent: after a rest it is a trial."""
    claimed: dict[str, Health] = {}
    for each in draw.models:
        if each in health and (trial := on_trial(health[each], now)) != health[each]:
            claimed[each] = trial
    return claimed


def release(draw: Draw, health: Mapping[str, Health]) -> dict[str, Health]:
    """The healths of the models whose trial is over without a result."""
    return {each: replace(health[each], trial_until=0.0) for each in draw.models if each in health}


def is_routine(draw: Draw, judged: Judged, health: Mapping[str, Health]) -> bool:
    """Whether a response teaches nothing if its answer is good: one model was asked, and no model has ever failed."""
    return not health and len(draw.models) == 1 and isinstance(judged, Completion)


def learn(
    draw: Draw,
    judged: Judged,
    health: Mapping[str, Health],
    now: float,
    *,
    answer: Failure | None = None,
    question: str | None = None,
) -> dict[str, Health]:
    """The healths that change with the response to this draw. `answer` is the flaw of its reply to `question`.

    If the service used a fallback, the models before it have failed. If the whole request failed, all models have.
    """
    outcome = judged if isinstance(judged, Failure) else answer
    lessons = dict.fromkeys(_concerned(draw, judged), outcome)
    if draw.route != FREE_ROUTER and judged.model in draw.models:
        lessons |= dict.fromkeys(draw.models[: draw.models.index(judged.model)], PASSED_OVER)
    learned = {each: _after(each, draw, judged, lesson, health, now, question) for each, lesson in lessons.items()}
    for each in set(draw.models) - learned.keys():  # no lesson, but the trial is over
        learned[each] = replace(health.get(each, NEW), trial_until=0.0)
    return {each: value for each, value in learned.items() if value != health.get(each, NEW)}


def _concerned(draw: Draw, judged: Judged) -> tuple[str, ...]:
    """The models that a response says something about.

    For the service's draw these are the router and the model that it drew. For models drawn here it is the model that
    the response names. If the response names none of them, it is all models, because the service tries all before it
    gives up. But an answer, a timeout and a failed connection belong to the first model: some servers give the model
    another id than the request.
    """
    if draw.route == FREE_ROUTER:
        return (FREE_ROUTER, judged.model) if judged.model else (FREE_ROUTER,)
    if judged.model in draw.models:
        return (judged.model,)
    first_only = isinstance(judged, Completion) or judged.kind in (Kind.TIMEOUT, Kind.CONNECTION)
    return draw.models[:1] if first_only else draw.models


def _after(
    each: str,
    draw: Draw,
    judged: Judged,
    lesson: Failure | None,
    health: Mapping[str, Health],
    now: float,
    question: str | None,
) -> Health:
    """The health of one model after its lesson. The service's router is judged by how often its draws fail."""
    known = health.get(each, NEW)
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
    if judged.model != each and len(draw.models) > 1:  # it is not known which model failed: nothing lasting is learned
        lesson = replace(lesson, permanent=False, unsupported=None)
    known = replace(known, classifies=known.classifies or is_safety_classifier(each))
    return after(known, lesson, now, rests=_rests(draw), question=question)


def _rests(draw: Draw) -> Rests:
    if draw.is_own:
        return OWN
    return OF_MANY if draw.of is None or draw.of > FEW else OF_FEW if draw.of > 1 else ALONE
