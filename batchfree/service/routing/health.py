"""The health of a model: when it rests, when it is tried again, and how likely it is drawn.

A model that fails rests for a while. Each failure after a rest triples the next rest. After a rest one request at a
time tries the model until it answers. This is a circuit breaker with a half-open state (Nygard, "Release It!", 2007;
martinfowler.com/bliki/CircuitBreaker.html). The recent share of failures is an exponential moving average, which also
decays with time. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from batchfree.core.chat import Failure, Kind
from batchfree.service.routing.requirements import STRUCTURED

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Rests:
    """The first rest in seconds, and the longest; each strike triples the rest."""

    first: float
    longest: float

    def seconds(self, strikes: int) -> float:
        """Seconds of rest after this number of strikes, counted from one."""
        return min(self.first * GROWTH ** min(strikes - 1, 30), self.longest)


GROWTH = 3.0
OF_MANY = Rests(first=20.0, longest=1800.0)
"""For a model that more than three others can replace."""
OF_FEW = Rests(first=5.0, longest=240.0)
"""For one of two or three models."""
ALONE = Rests(first=1.0, longest=60.0)
"""For the only model: while it rests all rows wait, so it rests only if it fails often."""
OWN = Rests(first=0.0, longest=0.0)
"""For the only model of the user's own: it never rests, because each request waits for itself."""
OF_ROUTER = Rests(first=60.0, longest=1800.0)
"""For the service's own draw: while it rests, batchfree draws, which costs nothing."""

GONE_REST_S = 3600.0
"""A model that is gone rests until the next UTC midnight, and for at least this number of seconds."""
LONGEST_HINT_S = 900.0
"""Longest rest in seconds that a hint of the service may cause."""
TRIAL_S = 150.0
"""Seconds after which a trial without a result is forgotten."""
MEMORY = 0.8
"""`failing` is a moving average: each attempt keeps this share of it …"""
HALF_LIFE_S = 600.0
"""… and it halves in this number of seconds."""
OFTEN = 0.35
"""From this share of failures on, a model also rests after doubtful failures. Three in a row reach it."""
RARE = 0.17
"""Below this share of failures a model loses its last strike. After a single failure one answer is enough."""
SELDOM = 0.1
"""Up to this share of failures a model is drawn like a healthy one."""
LEAST_WEIGHT = 0.05
"""The weight of a model that always fails, against a healthy model's 1."""

SCHEMAS = frozenset({STRUCTURED, "response_format", "json_schema"})

FAULTS = frozenset(
    {
        *(Kind.MODEL_UNAVAILABLE, Kind.UPSTREAM_RATE_LIMIT, Kind.UPSTREAM_ERROR, Kind.TIMEOUT),
        *(Kind.BAD_RESPONSE, Kind.EMPTY, Kind.NOT_CHAT),
    }
)
"""Failures that are certainly the model's own: it rests at once."""
DOUBTFUL = frozenset({Kind.BAD_ANSWER, Kind.TRUNCATED, Kind.CONNECTION})
"""Failures that may be caused by the row or the network: a model rests only if they are frequent.

Kinds in neither set say nothing about the model."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a model.

    `strikes` counts the failures that earned a rest. `failing` is the recent share of failures, as it was at
    `failed_at`. `refused` holds the request parameters that the model refused. `gone`: the service said that the model
    is not available any more.
    """

    strikes: int = 0
    failing: float = 0.0
    failed_at: float = 0.0
    rests_until: float = 0.0
    trial_until: float = 0.0
    refused: frozenset[str] = frozenset()
    gone: bool = False
    verdict_on: str | None = None
    """The question that got a safety verdict instead of an answer; None after an answer."""
    classifies: bool = False
    """Whether the model answers with safety verdicts: it is known to, or two different questions got one."""


NEW = Health()
"""The health of a model of which nothing is known."""


def after(
    health: Health, failure: Failure | None, now: float, *, rests: Rests = OF_MANY, question: str | None = None
) -> Health:
    """The health after an attempt that ended at `now`; `failure` is None for a good answer.

    A first safety verdict is a failure like others. After a second one, on another `question`, the model rests until
    the next UTC day. After doubtful failures a model rests only if they are frequent, and never if it is the only one.
    """
    if failure is None:
        return _recovered(health, now, rests)
    if failure.unsupported is not None and failure.unsupported not in health.refused:
        return replace(health, refused=health.refused | {failure.unsupported}, trial_until=0.0)
    if failure.kind not in FAULTS and failure.kind not in DOUBTFUL:
        return replace(health, trial_until=0.0)
    failing = MEMORY * failing_share(health, now) + (1 - MEMORY)
    worse = replace(health, failing=failing, failed_at=now, trial_until=0.0)
    if failure.kind is Kind.NOT_CHAT:
        asked = question or ""
        again = health.verdict_on not in (None, asked)
        worse = replace(worse, verdict_on=asked, classifies=health.classifies or again)
    often = failing >= OFTEN or health.strikes > 0
    if rests is OWN:
        earned = failure.permanent or worse.classifies
    elif failure.kind in DOUBTFUL:
        earned = often and rests is not ALONE
    else:
        earned = often or rests is not ALONE or failure.permanent or hinted_seconds(failure, now) > 0
    return _resting(worse, failure, now, rests) if earned else worse


def _recovered(health: Health, now: float, rests: Rests) -> Health:
    """An answer ends the rest and halves the strikes.

    One strike stays until failures are rare, so that one request at a time tries the model. The only model needs no
    trial, so its last strike does not stay.
    """
    if health == Health(refused=health.refused, failed_at=health.failed_at):
        return health
    failing = MEMORY * failing_share(health, now)
    strikes = health.strikes // 2
    if health.strikes and failing >= RARE and rests not in (ALONE, OWN):
        strikes = max(strikes, 1)
    return replace(
        health,
        strikes=strikes,
        failing=failing,
        failed_at=now,
        rests_until=0.0,
        trial_until=0.0,
        gone=False,
        verdict_on=None,
        classifies=False,
    )


def _resting(health: Health, failure: Failure, now: float, rests: Rests) -> Health:
    burst = now < health.rests_until  # sent before the rest began: part of the same failure
    strikes = health.strikes if burst else health.strikes + 1
    until = max(health.rests_until, now + hinted_seconds(failure, now))
    if not burst:
        until = max(until, now + rests.seconds(strikes))
    if failure.permanent or (failure.kind is Kind.NOT_CHAT and health.classifies):
        until = max(until, (now // DAY_S + 1) * DAY_S, now + GONE_REST_S)
    return replace(health, strikes=strikes, rests_until=until, gone=health.gone or failure.permanent)


def hinted_seconds(failure: Failure, now: float) -> float:
    """Seconds for which the service asked to leave the model alone, at most `LONGEST_HINT_S`."""
    mark = 0.0 if failure.resets_at is None else failure.resets_at - now
    return min(max(0.0, failure.retry_after or 0.0, mark), LONGEST_HINT_S)


def failing_share(health: Health, now: float) -> float:
    """The recent share of failures, from 0 to 1; old failures count less."""
    return float(health.failing * 0.5 ** (max(0.0, now - health.failed_at) / HALF_LIFE_S))


def is_available(health: Health, now: float) -> bool:
    """Whether the model may be asked: it does not rest, and no other request is its trial after a rest."""
    return now >= health.rests_until and now >= health.trial_until


def is_left(health: Health, now: float) -> bool:
    """Whether the model may be asked before its rest is over. A model that is gone for the day may not."""
    return health.rests_until - now <= OF_MANY.longest


def available_at(health: Health, now: float) -> float:
    """When the model may be asked. During a trial: a second from now, to look again."""
    return now if is_available(health, now) else max(health.rests_until, now + 1.0)


def refuses(health: Health, parameters: Collection[str]) -> bool:
    """Whether the model has refused one of these parameters. A refusal of schemas comes under several names."""
    if not health.refused:
        return False
    schemas = SCHEMAS if STRUCTURED in parameters else frozenset()
    return not health.refused.isdisjoint(schemas | set(parameters))


def weight(health: Health, now: float) -> float:
    """The weight of the model in a draw: the square of its share of successes; 1 for a healthy model.

    It is 0.64 right after a first failure, 0.41 after two, and 0.05, the least weight, after eight or more.
    """
    failing = failing_share(health, now)
    return 1.0 if failing <= SELDOM else float(max((1 - failing) ** 2, LEAST_WEIGHT))


def on_trial(health: Health, now: float) -> Health:
    """The health while a request is in flight. After a rest the request is a trial, and no other request is sent."""
    return replace(health, trial_until=now + TRIAL_S) if health.strikes else health
