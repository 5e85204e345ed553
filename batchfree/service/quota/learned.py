"""What the service taught: a cap per minute by its 429s, the day's limit and use by its own word.

Times are epoch seconds. The service's counter of the day lags behind, so its word raises our count and never lowers it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from batchfree.core.routes import FREE_REQUESTS_PER_MINUTE
from batchfree.service.quota.limits import DAY, MINUTE, SLACK, Closure, Limits, day_start

LAG = 1800.0
"""Seconds by which the service's counter may lag; observed up to 20 minutes."""
HOLD = 600.0
"""Seconds after which a cap that was guessed from a 429 rises again, by one a minute."""
NAMED_HOLD = 3600.0
"""Seconds for which a cap that the service named stands against a higher one in the spec."""
LEAST_GUESS = FREE_REQUESTS_PER_MINUTE // 2
"""A guess goes below half of the cap in force only down to here: a cap far too large is no knowledge."""
ASK_EVERY = 3600.0
"""Seconds after which the service's word on the day is asked for again."""
ASK_AGAIN = 60.0
"""The least age in seconds of the word on which a run gives the day up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedCap:
    """A minute's cap taken from a 429 at `at`: the one it named, or a guess."""

    per_minute: int
    at: float
    named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReport:
    """What the service said of the day at `at`: its limit, and how much was used beyond this machine's own starts."""

    at: float
    limit: int | None = None
    elsewhere: int = 0


def minute_mark(at: float, resets_at: float | None) -> float:
    """When the service's minute began that refused a request of `at`; its reset mark is believed where it fits."""
    if resets_at is not None and resets_at - MINUTE <= at + SLACK and at < resets_at:
        return resets_at - MINUTE
    return at - at % MINUTE


def learn(
    now: float, *, refused_at: float, named: int | None, through: int, cap: int | None, known: LearnedCap | None
) -> LearnedCap:
    """What a minute 429 teaches about the cap per minute.

    `cap` was in force, the request started at `refused_at`, and of the starts of its clock minute `through` are not
    refused, up to now. A lower cap that the 429 names is taken as it is. One that came although the cap was kept means
    that others use the account, or that the cap was too high: as many starts as went through are allowed from now on,
    at least half of a cap that is not far too large.
    Further requests that left before a guess correct it as they are refused.
    """
    if named is not None and named >= 1 and (cap is None or named < cap):
        return LearnedCap(per_minute=named, at=now, named=True)
    if known is not None and refused_at <= known.at:
        return known if known.named else replace(known, per_minute=max(1, min(known.per_minute, through)))
    guess = through if cap is None else max(min(cap // 2, LEAST_GUESS), min(through, cap - 1))
    return LearnedCap(per_minute=max(1, guess), at=now, named=False)


def learned_cap(learned: LearnedCap, now: float, told: int | None) -> int | None:
    """The learned cap as it stands; None when it is forgotten. `told` is the job's own limit per minute.

    A named cap stands for an hour, for a day where the job knows none; a guess for ten minutes, then it rises by one a
    minute.
    """
    age = now - learned.at
    if age < 0:
        return None
    if learned.named:
        return learned.per_minute if age < (DAY if told is None else NAMED_HOLD) else None
    return learned.per_minute + max(0, int((age - HOLD) // MINUTE))


def effective(limits: Limits, learned: LearnedCap | None, reports: Sequence[DayReport], now: float) -> Limits:
    """The limits with what the service taught and said; its last word on the day's limit counts.

    A number in the spec only ever lowers what the service allows.
    """
    cap = None if learned is None else learned_cap(learned, now, limits.per_minute)
    caps = [each for each in (cap, limits.per_minute) if each is not None]
    said = max(((word.at, word.limit) for word in reports if word.limit is not None), default=(now, None))[1]
    per_day = limits.per_day
    if per_day is not None and said is not None:
        per_day = said if limits.auto else min(per_day, said)
    return replace(limits, per_minute=min(caps, default=None), per_day=per_day)


def elsewhere(reports: Iterable[DayReport], now: float) -> int:
    """Requests of this UTC day that the service counted beyond our own starts.

    The service's counter lags, so it never lowers our own count, and the highest word of the day stands. A word from
    the first half hour of a day may still be yesterday's: it stands until 00:30. Were it right, a day 429 would say so.
    """
    today = day_start(now)
    since = today if now < today + LAG else today + LAG
    return max((word.elsewhere for word in reports if since <= word.at <= now), default=0)


def doubt(reports: Iterable[DayReport], own: int, limits: Limits, now: float) -> Closure | None:
    """A closure until 00:30 where only a word that may be yesterday's says that the day is spent."""
    settled = day_start(now) + LAG
    if limits.allowed is None or now >= settled or own >= limits.allowed:
        return None
    spent = own + elsewhere(reports, now) >= limits.allowed
    return Closure(until=settled, reason="day") if spent else None


def outgrown(reports: Iterable[DayReport], limit: int | None, used: int | None, now: float) -> bool:
    """Whether this word lifts a closure of the day: the limit is higher than any of today's reports, and not spent.

    A tier that rises within the day does that; a laggard counter does not.
    """
    said = [word.limit for word in reports if word.limit is not None and word.at >= day_start(now)]
    return limit is not None and bool(said) and limit > max(max(said), used or 0)


def worth_asking(asked: float, now: float, *, giving_up: bool = False) -> bool:
    """Whether the service's word on the day, asked for at `asked`, is too old to go by.

    That is after an hour; after a reset, and again when a word can no longer be the day's before; and after a minute,
    where the run would give the day up for it.
    """
    marks = (day_start(now), day_start(now) + LAG)
    age = now - asked
    return not 0 <= age < (ASK_AGAIN if giving_up else ASK_EVERY) or any(asked < mark <= now for mark in marks)
