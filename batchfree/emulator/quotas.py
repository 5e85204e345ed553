"""The account's quota: requests of the clock minute and of the UTC day, counted on arrival over all its keys."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from batchfree.emulator.emulated_model import JsonObject
from batchfree.emulator.error_bodies import Refusal, day_limit, minute_limit

DAY = 86_400
MINUTE = 60
ENDLESS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatedLimits:
    """`per_minute`, `per_day`: what is enforced (None: nothing); the `told_` ones: what errors and `/key` say.

    `count_rejected`: requests refused by a limit count too. `count_failed`: requests that brought no answer count.
    `hint`: where a platform 429 says its reset: body (milliseconds), headers, both, or seconds (in the body).
    `key_lag`: seconds by which the counter of `/key` lags behind.
    """

    per_minute: int | None = 20
    per_day: int | None = 50
    told_per_minute: int | None = None
    told_per_day: int | None = None
    count_rejected: bool = True
    count_failed: bool = True
    hint: str = "body"
    key_lag: float = 0.0
    used_today: int = 0


class Quota:
    """What an account has used. `now` is always epoch seconds."""

    def __init__(self, limits: EmulatedLimits, started: float) -> None:
        self.limits = limits
        self.minutes: dict[int, int] = {}
        self.days: dict[int, int] = {int(started // DAY): limits.used_today}
        self._recent: deque[float] = deque()

    def arrive(self, now: float) -> Refusal | None:
        """Count one free-model request, or say by which limit it is refused."""
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
        """A counted request brought no answer: it does not count after all, if the scenario says so."""
        if not self.limits.count_failed:
            self.days[int(arrived // DAY)] -= 1
            self.minutes[int(arrived // MINUTE)] -= 1

    def of_the_day(self, now: float) -> JsonObject:
        """`free_model_daily_requests` as `/key` shows it: `used` lags, and may exceed the limit."""
        while self._recent and self._recent[0] <= now - max(self.limits.key_lag, DAY):
            self._recent.popleft()
        day = int(now // DAY)
        unseen = sum(
            1 for arrival in self._recent if arrival > now - self.limits.key_lag and int(arrival // DAY) == day
        )
        used = max(0, self.days.get(day, 0) - unseen)
        limit = self.limits.told_per_day if self.limits.told_per_day is not None else self.limits.per_day
        limit = ENDLESS if limit is None else limit
        return {"limit": limit, "remaining": max(0, limit - used), "used": used}
