"""How a model has lately done: when it rests, when it is tried again, how likely it is drawn.

A model that fails rests for a while that triples with every failure after the rest; then one request at a time tries
it (half-open), until it answers. Times are epoch seconds.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from batchfree.core.chat import Failure, Kind
from batchfree.service.routing.requirements import STRUCTURED

DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Rests:
    """Seconds of the first rest, which triples with every strike up to the longest."""

    first: float
    longest: float

    def seconds(self, strikes: int) -> float:
        """The rest after so many strikes, counted from one."""
        return min(self.first * GROWTH ** min(strikes - 1, 30), self.longest)


GROWTH = 3.0
OF_MANY = Rests(first=20.0, longest=1800.0)
"""A model that others can stand in for."""
OF_FEW = Rests(first=5.0, longest=240.0)
"""One of two or three."""
ALONE = Rests(first=1.0, longest=60.0)
"""The only model there is: while it rests everybody waits, so it rests only when it fails often."""
OF_ROUTER = Rests(first=60.0, longest=1800.0)
"""The service's own draw: while it rests, draws are made here, which costs nothing."""

GONE_REST_S = 3600.0
"""A model that is gone rests until the next UTC midnight, and for this long at least."""
LONGEST_HINT_S = 900.0
TRIAL_S = 150.0
"""A trial that has not come back after this long is forgotten."""
MEMORY = 0.8
"""`failing` is a running mean that keeps this share at every attempt …"""
HALF_LIFE_S = 600.0
"""… and halves in this time without a failure."""
OFTEN = 0.35
"""The share of failures from which answers that do not fit put a model to rest: the third of three in a row."""
RARE = 0.17
"""Below this share of failures a model that has failed is taken back: after one answer if it failed once."""
SELDOM = 0.1
"""Up to this share of failures a model counts as healthy and is drawn like any other."""
LEAST_WEIGHT = 0.05

SCHEMAS = frozenset({STRUCTURED, "response_format", "json_schema"})

FAULTS = frozenset(
    {
        *(Kind.MODEL_UNAVAILABLE, Kind.UPSTREAM_RATE_LIMIT, Kind.UPSTREAM_ERROR, Kind.TIMEOUT),
        *(Kind.BAD_RESPONSE, Kind.EMPTY, Kind.NOT_CHAT),
    }
)
"""The model's own failures: it rests at once."""
DOUBTFUL = frozenset({Kind.BAD_ANSWER, Kind.TRUNCATED, Kind.CONNECTION})
"""Perhaps the row's, or the network's: a model rests when it does so often. All other kinds say nothing about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What is remembered of a model. `strikes` counts failures, each after the rest that the one before earned.

    `failing` is the share of failures lately, as it was at `failed_at`; `refused` are parameters it said no to; `gone`:
    it was not there any more.
    """

    strikes: int = 0
    failing: float = 0.0
    failed_at: float = 0.0
    rests_until: float = 0.0
    trial_until: float = 0.0
    refused: frozenset[str] = frozenset()
    gone: bool = False


def after(health: Health, failure: Failure | None, now: float, *, rests: Rests = OF_MANY) -> Health:
    """The health after one more attempt that ended at `now`; None for an answer that would do.

    Doubtful failures put it to rest only when they are frequent, and the only model there is not even then.
    """
    if failure is None:
        return _recovered(health, now, rests)
    if failure.unsupported is not None and failure.unsupported not in health.refused:
        return replace(health, refused=health.refused | {failure.unsupported}, trial_until=0.0)
    if failure.kind not in FAULTS and failure.kind not in DOUBTFUL:
        return replace(health, trial_until=0.0)
    failing = MEMORY * failing_share(health, now) + (1 - MEMORY)
    worse = replace(health, failing=failing, failed_at=now, trial_until=0.0)
    often = failing >= OFTEN or health.strikes > 0
    if failure.kind in DOUBTFUL:
        earned = often and rests is not ALONE
    else:
        earned = often or rests is not ALONE or failure.permanent or _hint(failure, now) > 0
    return _resting(worse, failure, now, rests) if earned else worse


def _recovered(health: Health, now: float, rests: Rests) -> Health:
    """An answer ends the rest and halves the strikes. One strike stays, and with it the trials one at a time, until
    failures have become rare; the only model there is has no time for that."""
    failing = MEMORY * failing_share(health, now)
    strikes = health.strikes // 2
    if health.strikes and failing >= RARE and rests is not ALONE:
        strikes = max(strikes, 1)
    return replace(
        health, strikes=strikes, failing=failing, failed_at=now, rests_until=0.0, trial_until=0.0, gone=False
    )


def _resting(health: Health, failure: Failure, now: float, rests: Rests) -> Health:
    burst = now < health.rests_until  # sent before the rest began: the same trouble, no further strike
    strikes = health.strikes if burst else health.strikes + 1
    until = max(health.rests_until, now + min(_hint(failure, now), LONGEST_HINT_S))
    if not burst:
        until = max(until, now + rests.seconds(strikes))
    if failure.permanent or failure.kind is Kind.NOT_CHAT:
        until = max(until, (now // DAY_S + 1) * DAY_S, now + GONE_REST_S)
    return replace(health, strikes=strikes, rests_until=until, gone=health.gone or failure.permanent)


def _hint(failure: Failure, now: float) -> float:
    """Seconds that the service asked to leave the model alone."""
    mark = 0.0 if failure.resets_at is None else failure.resets_at - now
    return max(0.0, failure.retry_after or 0.0, mark)


def failing_share(health: Health, now: float) -> float:
    """The share of failures lately, from 0 to 1; what is long past counts less."""
    return float(health.failing * 0.5 ** (max(0.0, now - health.failed_at) / HALF_LIFE_S))


def is_available(health: Health, now: float) -> bool:
    """Whether it may be asked: it does not rest, and no other request is trying it out after a rest."""
    return now >= health.rests_until and now >= health.trial_until


def is_left(health: Health, now: float) -> bool:
    """Whether it may be asked today, though perhaps before its rest is over; not when it is gone."""
    return health.rests_until - now <= OF_MANY.longest


def available_at(health: Health, now: float) -> float:
    """When it may be asked; while it is being tried out, look again in a second."""
    return now if is_available(health, now) else max(health.rests_until, now + 1.0)


def refuses(health: Health, parameters: Collection[str]) -> bool:
    """Whether it has said no to one of these parameters; a model says no to schemas under several names."""
    schemas = SCHEMAS if STRUCTURED in parameters else frozenset()
    return not health.refused.isdisjoint(schemas | set(parameters))


def weight(health: Health, now: float) -> float:
    """How likely it is drawn against a healthy model's 1: the square of its share of successes, at least 0.05.

    So 0.64 right after a first failure, 0.41 after two, 0.05 from eight on.
    """
    failing = failing_share(health, now)
    return 1.0 if failing <= SELDOM else float(max((1 - failing) ** 2, LEAST_WEIGHT))


def on_trial(health: Health, now: float) -> Health:
    """The health while a request is out, where it is the first after a rest: others keep away until it is back."""
    return replace(health, trial_until=now + TRIAL_S) if health.strikes else health
