"""When may one more request start?

Four things hold a start back: a sliding window over past starts, the requests of the UTC day, a closure that the
service's own 429 asked for, and a short spacing. Times are epoch seconds.

The service counts arrivals per clock minute (OpenRouter's reset stamps are exact minute marks), so the window is a
second longer than a minute: 21 starts that span 61 seconds can't arrive within one minute if each travels for less
than a second. For the same reason nothing starts in the last second of a UTC day that has a limit.

A clock that is set back leaves starts and closures in the future. Such a start counts as one of this moment (the
ledger rewrites it, so it holds nobody up for more than 61 seconds); such a closure is void. A clock set forward lets
starts age at once, which can't be told from a laptop that slept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from batchfree.core.routes import FREE_REQUESTS_PER_MINUTE

Reason: TypeAlias = Literal["minute", "day"]

MINUTE, DAY = 60.0, 86400.0
SLACK = 1.0
"""Seconds that a request may be under way before the service counts it."""
WINDOW = MINUTE + SLACK
SPACING = 0.1
"""Seconds between two starts at most, so that a stricter service's first 429 is back before many more have left."""
BURST = 3.0
"""Seconds over which a full minute's starts are spread at most."""
LONGEST_MINUTE = 120.0
"""Seconds that a minute 429 may close the account: its mark comes from outside."""
AHEAD = 60.0
"""Seconds that a day 429 closes the account when its mark is past: this clock is ahead of the service's."""
FREE_DAY = 50
"""Free requests of a UTC day where the service does not say (OpenRouter docs, limits page)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one job may use of the account; None is no limit.

    `reserve` requests of the day are left for others. With `auto` the day's limit is the service's own word, and
    `per_day` what is taken where it has not spoken.
    """

    per_minute: int | None = None
    per_day: int | None = None
    reserve: int = 0
    auto: bool = False

    def __post_init__(self) -> None:
        if self.per_minute is not None and self.per_minute < 1:
            raise ValueError(f"expected at least 1 request a minute, got {self.per_minute}")

    @property
    def allowed(self) -> int | None:
        """Requests of the day that this job may be part of."""
        return None if self.per_day is None else max(0, self.per_day - self.reserve)


FREE = Limits(per_minute=FREE_REQUESTS_PER_MINUTE, per_day=FREE_DAY, auto=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """Nobody starts before `until`: the service said so."""

    until: float
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The earliest moment of a start, if nobody else starts before; no reason: it may start now."""

    at: float
    reason: Reason | None = None


def day_start(now: float) -> float:
    """The last 00:00 UTC."""
    return now - now % DAY


def next_day(now: float) -> float:
    """The next 00:00 UTC."""
    return day_start(now) + DAY


def opens_at(
    now: float,
    starts: Sequence[float],
    used_today: int,
    limits: Limits,
    closures: Iterable[Closure] = (),
    ahead: int = 0,
) -> Opening:
    """When a start is allowed that `ahead` others go before.

    `starts` ascend and hold at least the last `per_minute` ones of the last `WINDOW` seconds; `used_today` counts the
    account's requests of the UTC day.
    """
    window = [min(start, now) for start in starts]
    standing = [each for each in closures if stands(each, now)]
    while True:
        opening = _opens(now, window, used_today, limits, standing)
        if not ahead:
            return opening
        window.append(opening.at)
        used_today += opening.at < next_day(now)
        ahead -= 1


def _opens(
    now: float, window: Sequence[float], used_today: int, limits: Limits, closures: Sequence[Closure]
) -> Opening:
    minute = [each.until for each in closures if each.reason == "minute"]
    day = [each.until for each in closures if each.reason == "day"]
    if limits.per_minute is not None and window:
        minute.append(window[-1] + min(SPACING, BURST / limits.per_minute))
        if len(window) >= limits.per_minute:
            minute.append(window[-limits.per_minute] + WINDOW)
    if limits.allowed is not None and used_today >= limits.allowed:
        day.append(next_day(now))
    at = max(now, *minute, *day) if minute or day else now
    if limits.allowed is not None and next_day(at) - at < SLACK:
        at = next_day(at)
    return Opening(at=at, reason="day" if day else "minute" if at > now else None)


def stands(closure: Closure, now: float) -> bool:
    """Whether a closure holds; one that ends later than any could is left from before the clock was set back."""
    longest = now + LONGEST_MINUTE if closure.reason == "minute" else next_day(now) + SLACK
    return now < closure.until <= longest


def closure(reason: Reason, now: float, resets_at: float | None, retry_after: float | None) -> Closure:
    """What a 429 of the account asks for: its mark, else its hint, else the next clock minute or UTC day; capped."""
    mark = resets_at if resets_at is not None or retry_after is None else now + retry_after
    if reason == "minute":
        if mark is None or mark <= now:
            mark = now - now % MINUTE + MINUTE
        return Closure(until=min(mark + SLACK, now + LONGEST_MINUTE), reason=reason)
    if mark is not None and mark <= now:
        return Closure(until=now + AHEAD, reason=reason)
    midnight = next_day(now)
    return Closure(until=min(midnight if mark is None else mark, midnight) + SLACK, reason=reason)
