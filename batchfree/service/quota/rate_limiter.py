"""The rate limiter: waits for a start before each request.

The ledger decides when a request may start. This module waits until then, for one worker at a time, and returns a
value if the run should end instead. It sleeps in short pieces, because laptops sleep and clocks jump. It wakes at once
when the run is asked to stop. For a job with a daily limit it asks the service for the daily quota now and then; that
call costs no request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

import anyio

from batchfree.core.chat import Failure, Kind
from batchfree.core.errors import UnavailableError
from batchfree.core.stops import Stopped, StopReason
from batchfree.core.text import iso
from batchfree.service.quota import limits as rules
from batchfree.service.quota.learned import is_stale
from batchfree.service.quota.ledger import Ledger
from batchfree.service.quota.ledger_entries import Start
from batchfree.service.quota.limits import Limits, Opening, Reason
from batchfree.service.quota.wait_policy import STOP_ON_QUOTA, WaitPolicy
from batchfree.service.unless import unless

LONGEST_SLEEP = 60.0
"""Seconds after which a waiting worker reads the clock again."""
SHORTEST_SLEEP = 0.001
"""Shortest sleep in seconds, for a wait that is shorter than the clock's rounding."""
WORTH_REPORTING = 1.0
"""Shortest wait in seconds that is reported to people. Smaller changes of its end are not reported either."""

YIELD_S = 0.2
"""Seconds until a run that yields to a more urgent request asks again."""
LOOK_EVERY = 1.0
"""Seconds between two reads of the ledger on an endpoint without limits."""
LEDGER_PATIENCE = 60.0
"""Seconds that a run waits for a ledger out of reach before it stops."""
LEDGER_RETRY = 5.0
"""Seconds between two tries to reach the ledger."""
UNCOUNTED = 0
"""The id of a start that stands in no ledger."""

ReportWait: TypeAlias = Callable[[str | None, float | None], None]
"""Called when a wait begins, with its reason and end (epoch seconds), and when it ends, with two Nones."""
REASONS: dict[Kind, Reason] = {Kind.MINUTE_LIMIT: "minute", Kind.DAY_LIMIT: "day"}


async def _nothing() -> None:
    """Refreshes nothing."""


class RateLimiter:
    """Hands out the starts of one job in one process."""

    def __init__(
        self,
        ledger: Ledger,
        limits: Limits,
        job: str,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        policy: WaitPolicy = STOP_ON_QUOTA,
        report_wait: ReportWait = lambda reason, until: None,
        refresh_quota: Callable[[], Awaitable[object]] = _nothing,
    ) -> None:
        """`clock` gives epoch seconds. `refresh_quota` asks the service for the daily quota and records the answer in
        the ledger; the caller has done so just before.
        """
        self._ledger, self._limits, self._job = ledger, limits, job
        self._clock, self._sleep = clock, sleep
        self._on_quota, self._deadline, self._yields = policy.on_quota, policy.deadline, policy.yields
        self._report_wait, self._refresh_quota = report_wait, refresh_quota
        self._refreshed_at = clock()
        self._turn = anyio.Lock(fast_acquire=True)
        self._unlimited = limits.per_minute is None and limits.per_day is None
        self._looked_at = float("-inf")
        self._recent = deque[float]()
        self._away_since: float | None = None

    async def acquire(self, stopping: anyio.Event) -> Start | Stopped | None:
        """Waits for a start and reserves it. Returns `Stopped` if the run should end, None once `stopping` is set.

        A cancellation leaves no start and no place in the queue behind: after a start is reserved nothing is awaited.
        """
        if await self._is_unlimited(stopping):
            return self._uncounted_start()
        async with self._turn:
            reported: Opening | None = None
            try:
                while not stopping.is_set():
                    opening = await self._ask(stopping)
                    if not isinstance(opening, Opening):
                        return opening
                    if opening.at - self._clock() > WORTH_REPORTING and not _is_same_wait(opening, reported):
                        self._report_wait(opening.reason, opening.at)
                        reported = opening
                    await self._wait(opening, stopping)
                self._ledger.withdraw()
                return None
            except anyio.get_cancelled_exc_class():
                self._ledger.withdraw()
                raise
            finally:
                if reported is not None:
                    self._report_wait(None, None)

    def give_back(self, start: Start) -> None:
        """Returns a start whose request was not sent."""
        if start.id != UNCOUNTED:
            self._ledger.give_back(start)

    def record_refusal(self, failure: Failure, start: Start) -> None:
        """Records a 429 of the account: closes the account for all processes and learns the limit from it."""
        reason, now = REASONS[failure.kind], self._clock()
        self._count_all()
        closure = rules.closure_after_429(reason, now, failure.resets_at, failure.retry_after)
        if reason == "minute":
            self._ledger.learn_cap(
                self._limits,
                start,
                named=failure.limit,
                resets_at=failure.resets_at,
                retry_after=failure.retry_after,
            )
        elif failure.limit is not None:
            self._ledger.record_day_report(day_limit=failure.limit, day_used=None)
        self._ledger.close_account(closure.until, reason)

    async def _is_unlimited(self, stopping: anyio.Event) -> bool:
        """Whether a start needs no ledger: the job has no limit, and no limit was learned from a refusal.

        The ledger is read once a second, since another process may have been refused.
        """
        if not self._unlimited or stopping.is_set():
            return False
        now = self._clock()
        if self._deadline is not None and now >= self._deadline:
            return False
        if not 0 <= now - self._looked_at < LOOK_EVERY:
            self._looked_at = now
            try:
                if await self._ledger.beside_loop(partial(self._ledger.is_limited, self._limits)):
                    self._count_all()
            except UnavailableError:
                return True  # no limit is known, so no start needs the ledger
        return self._unlimited

    def _uncounted_start(self) -> Start:
        """A start that is in no ledger. Starts of the last minute are remembered, in case a limit is learned."""
        now = self._clock()
        while self._recent and self._recent[0] <= now - rules.WINDOW:
            self._recent.popleft()
        self._recent.append(now)
        return Start(id=UNCOUNTED, at=now, job=self._job)

    def _count_all(self) -> None:
        """Counts each start from now on, and the starts of the last minute."""
        if self._unlimited:
            self._unlimited = False
            self._ledger.add_starts(self._recent, self._job)
            self._recent.clear()

    async def _ask(self, stopping: anyio.Event) -> Start | Stopped | Opening:
        """Asks the ledger once. An `Opening` says when to ask again, possibly at once."""
        try:
            answer = await self._ask_ledger(stopping)
        except UnavailableError as error:
            return self._ledger_is_away(error)
        self._away_since = None
        return answer

    def _ledger_is_away(self, error: UnavailableError) -> Stopped | Opening:
        """What to do while the ledger is out of reach: wait up to a minute, then stop."""
        now = self._clock()
        if self._away_since is None or now < self._away_since:
            self._away_since = now
        until = self._away_since + LEDGER_PATIENCE
        if self._deadline is not None and now >= self._deadline:
            return self._deadline_reached()
        if now >= until:
            return Stopped(reason=StopReason.LEDGER_DOWN, message=str(error))
        return Opening(at=until, reason="ledger")

    async def _ask_ledger(self, stopping: anyio.Event) -> Start | Stopped | Opening:
        if self._deadline is not None and self._clock() >= self._deadline:
            return self._deadline_reached()
        if await self._refresh_if_stale(stopping):
            return Opening(at=self._clock())
        if self._yields is not None and self._yields():
            self._ledger.withdraw()
            return Opening(at=self._clock() + YIELD_S)
        answer = await self._ledger.beside_loop(partial(self._ledger.reserve, self._limits, self._job))
        if isinstance(answer, Start):
            return answer
        if answer.reason == "day" and self._on_quota == "stop":
            refreshed = await self._refresh_if_stale(stopping, giving_up=True)
            return Opening(at=self._clock()) if refreshed else self._day_is_spent(answer.at)
        if self._deadline is not None and answer.at >= self._deadline:
            return self._deadline_reached()
        return answer

    async def _wait(self, opening: Opening, stopping: anyio.Event) -> None:
        """Sleeps until the opening, at most a minute; ends early once `stopping` is set."""
        longest = LEDGER_RETRY if opening.reason == "ledger" else LONGEST_SLEEP
        seconds = min(max(opening.at - self._clock(), SHORTEST_SLEEP), longest)
        await unless(stopping, partial(self._sleep, seconds))

    async def _refresh_if_stale(self, stopping: anyio.Event, *, giving_up: bool = False) -> bool:
        """Refreshes the daily quota from the service if a daily limit applies and the last answer is stale.

        Returns whether it asked. `giving_up`: the run is about to stop for a spent day, so a minute is already stale.
        """
        now = self._clock()
        if self._limits.per_day is None or not is_stale(self._refreshed_at, now, giving_up=giving_up):
            return False
        self._refreshed_at = now
        await unless(stopping, self._refresh_quota)
        return True

    def _deadline_reached(self) -> Stopped:
        self._ledger.withdraw()
        return Stopped(reason=StopReason.DEADLINE, message="the time given by --until is over", until=self._deadline)

    def _day_is_spent(self, until: float) -> Stopped:
        self._ledger.withdraw()
        usage = self._ledger.usage(self._limits)
        reserve = f", {self._limits.reserve} are left for others" if self._limits.reserve else ""
        spent = f"the day's requests are used up: {usage.day_used} of {usage.day_limit}{reserve}"
        if any(closure.reason == "day" for closure in usage.closures):
            spent = "the service says that the day's requests are used up"
        return Stopped(reason=StopReason.QUOTA, message=f"{spent}; more at {iso(until)}", until=until)


def _is_same_wait(opening: Opening, reported: Opening | None) -> bool:
    """Whether this wait was already reported, give or take a second."""
    return (
        reported is not None and opening.reason == reported.reason and abs(opening.at - reported.at) <= WORTH_REPORTING
    )
