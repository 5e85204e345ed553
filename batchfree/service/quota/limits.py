"""The rules for when the next request may start. All times are epoch seconds.

Four things can delay a start: the starts of the last minute, the requests of the UTC day, a closure of the account
after a 429, and a short distance between two starts.

The starts are limited over a sliding window of a minute. The service counts arrivals per clock minute (OpenRouter's
reset times are exact minutes), and a request travels for up to a second. So a start counts for a quarter of a second
more than a minute. A start in the last second of a clock minute may arrive in the next minute, so it counts until that
minute is over. Then 21 starts at a limit of 20 can never arrive within one minute, as far as the two clocks agree. For
the same reason no request starts in the last second of a UTC day with a limit.

If the clock is set back, some starts and closures are in the future. Such a start counts as a start of this moment; the
ledger corrects it, so nobody waits longer than 61 seconds for it. Such a closure is ignored. If the clock is set
forward, or a laptop has slept, all starts look old at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from batchfree.core.routes import FREE_REQUESTS_PER_MINUTE

Reason: TypeAlias = Literal["minute", "day"]
WaitReason: TypeAlias = Literal["minute", "day", "ledger"]
"""What a start waits for: a limit, or a ledger that is out of reach."""

MINUTE, DAY = 60.0, 86400.0
SLACK = 1.0
"""Seconds that a request may travel before the service counts it."""
WINDOW = MINUTE + SLACK
"""No start counts for longer than this number of seconds."""
MARGIN = 0.25
"""Seconds beyond a minute for which each start counts, because clocks differ, and the first request of a connection
travels longer than later ones."""
SPACING = 0.05
"""Longest distance in seconds between two starts. Without it, many requests would leave before a first 429 is back."""
BURST = 3.0
"""Longest time in seconds over which the starts of a whole minute are spread."""
LONGEST_MINUTE = 120.0
"""Longest closure in seconds after a minute 429. A cap is needed because the reset time comes from outside."""
RESET_IN_PAST = 60.0
"""Closure in seconds after a day 429 whose reset time is past: this clock is ahead of the service's clock."""
FREE_DAY = 50
"""Free requests per UTC day if the service names no number (OpenRouter docs, limits page)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The part of the account's quota that one job may use; None means no limit.

    `reserve` requests of the day are left for others. With `auto` the service's daily limit applies, and `per_day` only
    until the service has named one.
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
        """The number of requests of the day (by all jobs) at which this job stops."""
        return None if self.per_day is None else max(0, self.per_day - self.reserve)


FREE = Limits(per_minute=FREE_REQUESTS_PER_MINUTE, per_day=FREE_DAY, auto=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """The service refused a request of the account: no request starts before `until`."""

    until: float
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The earliest time of the next start, if nobody else starts first. `reason` is None if it may start now."""

    at: float
    reason: WaitReason | None = None


def day_start(now: float) -> float:
    """The last 00:00 UTC at or before `now`."""
    return now - now % DAY


def next_day(now: float) -> float:
    """The next 00:00 UTC after `now`."""
    return day_start(now) + DAY


def opens_at(
    now: float,
    starts: Sequence[float],
    used_today: int,
    limits: Limits,
    closures: Iterable[Closure] = (),
    ahead: int = 0,
) -> Opening:
    """The earliest time of a start that comes after `ahead` other starts.

    `starts` are sorted and contain at least the last `per_minute` starts of the last `WINDOW` seconds. `used_today`
    counts the requests of the account in this UTC day.
    """
    window = [min(start, now) for start in starts]
    closures = [each for each in closures if is_in_force(each, now)]
    while True:
        opening = _opens(now, window, used_today, limits, closures)
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
            minute.append(counts_until(window[-limits.per_minute]))
    if limits.allowed is not None and used_today >= limits.allowed:
        day.append(next_day(now))
    at = max(now, *minute, *day) if minute or day else now
    if limits.allowed is not None and next_day(at) - at < SLACK:
        at = next_day(at)
    return Opening(at=at, reason="day" if day else "minute" if at > now else None)


def counts_until(start: float) -> float:
    """When a start no longer counts against the limit per minute."""
    next_minute = start - start % MINUTE + MINUTE
    may_arrive_then = next_minute - start < SLACK
    return max(start + MINUTE + MARGIN, next_minute + MINUTE if may_arrive_then else 0.0)


def is_in_force(closure: Closure, now: float) -> bool:
    """Whether a closure still applies. A closure that ends too late is ignored: the clock was set back since."""
    longest = now + LONGEST_MINUTE if closure.reason == "minute" else next_day(now) + SLACK
    return now < closure.until <= longest


def closure_after_429(reason: Reason, now: float, resets_at: float | None, retry_after: float | None) -> Closure:
    """The closure after a 429: until its reset time, else after its hint, else until the next minute or UTC day.

    `resets_at` is in epoch seconds, `retry_after` in seconds; both come from outside, so the closure is capped.
    """
    mark = resets_at if resets_at is not None or retry_after is None else now + retry_after
    if reason == "minute":
        if mark is None or mark <= now:
            mark = now - now % MINUTE + MINUTE
        return Closure(until=min(mark + SLACK, now + LONGEST_MINUTE), reason=reason)
    if mark is not None and mark <= now:
        return Closure(until=now + RESET_IN_PAST, reason=reason)
    midnight = next_day(now)
    return Closure(until=min(midnight if mark is None else mark, midnight) + SLACK, reason=reason)
