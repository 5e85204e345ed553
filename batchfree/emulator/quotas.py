"""The account's quota: requests of the clock minute and of the UTC day, counted on arrival over all its keys."""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

from batchfree.emulator.emulated_model import JsonObject
from batchfree.emulator.error_bodies import Refusal, day_limit, minute_limit
from batchfree.emulator.settings import Settings

DAY = 86_400
MINUTE = 60
UNLIMITED = 1_000_000_000
"""The limit of the day that `/key` shows if there is none."""
ResetHint: TypeAlias = Literal["body", "headers", "both", "seconds"]


class EmulatedLimits(Settings):
    """The account's limits; None: no limit. Errors and `/key` claim the `told_` limits instead, if they are given.

    `count_rejected`: requests refused by a limit count too. `count_failed`: requests without an answer count too.
    `hint`: where a platform 429 names its reset: body (milliseconds), headers, both, or seconds (in the body).
    `key_lag`: seconds by which the counter of `/key` is late. `used_today`: requests used before the start.
    """

    per_minute: int | None = 20
    per_day: int | None = 50
    told_per_minute: int | None = None
    told_per_day: int | None = None
    count_rejected: bool = True
    count_failed: bool = True
    hint: ResetHint = "body"
    key_lag: float = 0.0
    used_today: int = 0


class Quota:
    """The requests that an account has used, by epoch minute and epoch day. Times are epoch seconds."""

    def __init__(self, limits: EmulatedLimits, started: float) -> None:
        self.limits = limits
        self.minutes: dict[int, int] = {}
        self.days: dict[int, int] = {int(started // DAY): limits.used_today}
        self._recent: deque[float] = deque()

    def arrive(self, now: float) -> Refusal | None:
        """Counts one free-model request. Returns the refusal if a limit is reached."""
        minute, day = int(now // MINUTE), int(now // DAY)
        limits = self.limits
        rejected: Refusal | None = None
        if limits.per_day is not None and self.days.get(day, 0) >= limits.per_day:
            told = limits.per_day if limits.told_per_day is None else limits.told_per_day
            rejected = day_limit(told, (day + 1) * DAY, limits.hint)
        elif limits.per_minute is not None and self.minutes.get(minute, 0) >= limits.per_minute:
            told = limits.per_minute if limits.told_per_minute is None else limits.told_per_minute
            rejected = minute_limit(told, (minute + 1) * MINUTE, limits.hint)
        if rejected is None or limits.count_rejected:
            self.minutes[minute] = self.minutes.get(minute, 0) + 1
            self.days[day] = self.days.get(day, 0) + 1
            if limits.key_lag:
                self._recent.append(now)
        return rejected

    def give_back(self, arrived: float) -> None:
        """Takes back a counted request that brought no answer, if the scenario says so."""
        if not self.limits.count_failed:
            self.days[int(arrived // DAY)] -= 1
            self.minutes[int(arrived // MINUTE)] -= 1

    def of_the_day(self, now: float) -> JsonObject:
        """`free_model_daily_requests` as `/key` shows it; `used` lags behind and may exceed the limit."""
        while self._recent and self._recent[0] <= now - max(self.limits.key_lag, DAY):
            self._recent.popleft()
        day = int(now // DAY)
        unseen = sum(
            1 for arrival in self._recent if arrival > now - self.limits.key_lag and int(arrival // DAY) == day
        )
        used = max(0, self.days.get(day, 0) - unseen)
        claims = (self.limits.told_per_day, self.limits.per_day, UNLIMITED)
        limit = next(claim for claim in claims if claim is not None)
        return {"limit": limit, "remaining": max(0, limit - used), "used": used}
