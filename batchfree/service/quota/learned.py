"""What the service has said about the quota: a limit per minute from its 429s, and reports on the day.

A day report is the answer of `GET /key`, or the limit that a day 429 named. The service's own daily count is late by
some minutes, so a report can raise our count of the day but never lower it. All times are epoch seconds.

A guessed limit per minute falls by at most half and rises slowly: additive increase, multiplicative decrease (Chiu and
Jain, 1989, doi.org/10.1016/0169-7552(89)90019-6).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from batchfree.core.routes import FREE_REQUESTS_PER_MINUTE
from batchfree.service.quota.limits import DAY, MINUTE, SLACK, Closure, Limits, day_start

LAG = 1800.0
"""Seconds by which the service's daily count may be late; up to 20 minutes were observed."""
HOLD = 600.0
"""Seconds after which a guessed cap rises again, by one per minute."""
DOUBLES_S = 300.0
"""Seconds in which a guess doubles if the job has no limit, since a server that was busy once is not slow for long."""
NAMED_HOLD = 3600.0
"""Seconds for which a cap that the service named overrides a higher one in the spec."""
LARGEST_LEAST = 600
"""Largest value of `least_guess` per minute. A shorter wait than a tenth of a second does not tell a rate."""
LEAST_GUESS = FREE_REQUESTS_PER_MINUTE // 2
"""The smallest guess, unless half of the current cap is even smaller. A cap in the spec may be far too large."""
ASK_EVERY = 3600.0
"""Seconds after which a report on the day is stale."""
ASK_AGAIN = 60.0
"""Seconds after which a report is stale for a run that is about to stop because the day is spent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedCap:
    """A limit per minute learned from a 429 at time `at`: the number that the 429 named, or a guess."""

    per_minute: int
    at: float
    named: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DayReport:
    """The service's report on the day at time `at`: the limit, and the requests used beyond this machine's starts."""

    at: float
    limit: int | None = None
    elsewhere: int = 0


def minute_start(at: float, resets_at: float | None) -> float:
    """The start of the service's minute in which a request sent at `at` was refused; uses a plausible reset time."""
    if resets_at is not None and resets_at - MINUTE <= at + SLACK and at < resets_at:
        return resets_at - MINUTE
    return at - at % MINUTE


def least_guess(retry_after: float | None) -> int:
    """The smallest guess if the job has no limit: a server that says "wait 3 seconds" takes 20 a minute or more.

    Such a server may also refuse at random, or because of the requests in flight. So the number of requests that it
    took says little.
    """
    return LEAST_GUESS if not retry_after else max(1, min(int(MINUTE / retry_after), LARGEST_LEAST))


def learn_cap(
    now: float,
    *,
    refused_at: float,
    named: int | None,
    through: int,
    cap: int | None,
    known: LearnedCap | None,
    least: int = 1,
) -> LearnedCap:
    """The cap per minute after a minute 429.

    The refused request started at `refused_at`; `cap` applied, and `through` other starts of the same minute are not
    refused so far. A lower cap that the 429 names (`named`) is taken as it is. Otherwise others use the account too,
    or `cap` was too high: the guess is the number of starts that went through, but at least half of `cap` (or
    `LEAST_GUESS`). Later refusals of requests that started before the guess lower it further. No guess is below
    `least`, unless `cap` is.
    """
    through = max(through, least)
    if named is not None and named >= 1 and (cap is None or named < cap):
        return LearnedCap(per_minute=named, at=now, named=True)
    if known is not None and refused_at <= known.at:
        return known if known.named else replace(known, per_minute=max(1, min(known.per_minute, through)))
    lower = cap if cap is not None and least >= cap else (cap or 0) - 1
    guess = through if cap is None else max(min(cap // 2, LEAST_GUESS), min(through, lower))
    return LearnedCap(per_minute=max(1, guess), at=now, named=False)


def cap_in_force(learned: LearnedCap, now: float, job_cap: int | None) -> int | None:
    """The learned cap now; None once it has expired. `job_cap` is the job's own limit per minute.

    A cap that the service named applies for an hour, or for a day if the job has none. A guess applies for ten
    minutes and then rises by one per minute; if the job has no limit, it doubles every five minutes.
    """
    age = now - learned.at
    if age < 0:
        return None
    if learned.named:
        return learned.per_minute if age < (DAY if job_cap is None else NAMED_HOLD) else None
    if job_cap is None:
        return learned.per_minute << min(int(age // DOUBLES_S), 16)
    return learned.per_minute + max(0, int((age - HOLD) // MINUTE))


def effective_limits(limits: Limits, learned: LearnedCap | None, reports: Sequence[DayReport], now: float) -> Limits:
    """The limits of the job, lowered to the learned cap and to the last reported daily limit.

    A number in the spec can lower what the service allows, never raise it.
    """
    cap = None if learned is None else cap_in_force(learned, now, limits.per_minute)
    caps = [each for each in (cap, limits.per_minute) if each is not None]
    said = max(((report.at, report.limit) for report in reports if report.limit is not None), default=(now, None))[1]
    per_day = limits.per_day
    if per_day is not None and said is not None:
        per_day = said if limits.auto else min(per_day, said)
    return replace(limits, per_minute=min(caps, default=None), per_day=per_day)


def used_elsewhere(reports: Iterable[DayReport], now: float) -> int:
    """Requests of this UTC day that the service counted beyond this machine's own starts.

    The highest report of the day counts, because the service's count is late. A report from the first half hour may
    still be about yesterday, so it counts only until 00:30 UTC. If it was right, a day 429 will follow.
    """
    today = day_start(now)
    since = today if now < today + LAG else today + LAG
    return max((report.elsewhere for report in reports if since <= report.at <= now), default=0)


def provisional_closure(reports: Iterable[DayReport], own: int, limits: Limits, now: float) -> Closure | None:
    """A closure until 00:30 UTC if the day looks spent only because of a report that may be about yesterday."""
    settled = day_start(now) + LAG
    if limits.allowed is None or now >= settled or own >= limits.allowed:
        return None
    spent = own + used_elsewhere(reports, now) >= limits.allowed
    return Closure(until=settled, reason="day") if spent else None


def ends_day_closure(reports: Iterable[DayReport], limit: int | None, used: int | None, now: float) -> bool:
    """Whether a new report ends a closure of the day: its limit is above all of today's reports, and not used up.

    That happens when the account moves to a higher tier during the day.
    """
    said = [report.limit for report in reports if report.limit is not None and report.at >= day_start(now)]
    return limit is not None and bool(said) and limit > max(max(said), used or 0)


def is_stale(asked: float, now: float, *, giving_up: bool = False) -> bool:
    """Whether the report that was asked for at `asked` is too old to use.

    A report is stale after an hour, after 00:00 UTC, again after 00:30 UTC (from then on reports are about the new
    day), and with `giving_up` after a minute.
    """
    marks = (day_start(now), day_start(now) + LAG)
    age = now - asked
    return not 0 <= age < (ASK_AGAIN if giving_up else ASK_EVERY) or any(asked < mark <= now for mark in marks)
