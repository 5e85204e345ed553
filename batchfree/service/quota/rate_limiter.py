"""ReportWait for a start: what stands between a worker and its request.

The ledger decides; this waits, for one worker at a time, and gives up with a value where the run should end. Waits
are cut into pieces, since a laptop sleeps and clocks jump, and each piece ends when the run is asked to stop. Where
the day has a limit, the service is asked for its word on it now and then, which costs no request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import anyio

from batchfree.core.chat import Failure, Kind
from batchfree.core.stops import Stopped, StopReason
from batchfree.core.text import iso
from batchfree.service.quota import limits as rules
from batchfree.service.quota.learned import worth_asking
from batchfree.service.quota.ledger import Ledger, Start
from batchfree.service.quota.limits import Limits, Opening, Reason

PIECE = 60.0
"""Seconds slept before the clock is read again."""
TICK = 0.001
"""Seconds slept at least: what a clock's rounding may leave of a wait."""
WORTH_TELLING = 1.0
"""Seconds that a wait must last to be shown to a person."""

ReportWait: TypeAlias = Callable[[str | None, float | None], None]
"""Called when a wait begins, with its reason and end (epoch seconds), and when it ends, with two Nones."""
REASONS: dict[Kind, Reason] = {Kind.MINUTE_LIMIT: "minute", Kind.DAY_LIMIT: "day"}


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitPolicy:
    """A run stops instead of waiting at `deadline` (epoch seconds), and at a spent day if `on_quota` is "stop"."""

    on_quota: Literal["stop", "wait"] = "stop"
    deadline: float | None = None


async def _nothing() -> None:
    """Asks nobody."""


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
        policy: WaitPolicy = WaitPolicy(),
        report_wait: ReportWait = lambda reason, until: None,
        refresh_quota: Callable[[], Awaitable[object]] = _nothing,
    ) -> None:
        """`clock` gives epoch seconds. `refresh_quota` asks the service for the daily quota and records the answer in
        the ledger; the caller has done so just before.
        """
        self._ledger, self._limits, self._job = ledger, limits, job
        self._clock, self._sleep = clock, sleep
        self._on_quota, self._deadline = policy.on_quota, policy.deadline
        self._report_wait, self._refresh_quota = report_wait, refresh_quota
        self._asked = clock()
        self._turn = anyio.Lock(fast_acquire=True)

    async def acquire(self, stopping: anyio.Event) -> Start | Stopped | None:
        """Waits for a start and reserves it; why the run should end where there is none, and None once it is asked to.

        A cancellation leaves nothing behind: nothing is awaited after a start is reserved.
        """
        async with self._turn:
            told: Opening | None = None
            try:
                while not stopping.is_set():
                    opening = await self._ask(stopping)
                    if not isinstance(opening, Opening):
                        return opening
                    if opening.at - self._clock() > WORTH_TELLING and not _same(opening, told):
                        self._report_wait(opening.reason, opening.at)
                        told = opening
                    pause = min(max(opening.at - self._clock(), TICK), PIECE)
                    await _unless(stopping, partial(self._sleep, pause))
                self._ledger.withdraw()
                return None
            except anyio.get_cancelled_exc_class():
                self._ledger.withdraw()
                raise
            finally:
                if told is not None:
                    self._report_wait(None, None)

    def give_back(self, start: Start) -> None:
        """Returns a start whose request was not sent after all."""
        self._ledger.give_back(start)

    def record_refusal(self, failure: Failure, start: Start) -> None:
        """Takes a 429 of the account in: the account closes for every process, and its cap is learned."""
        reason, now = REASONS[failure.kind], self._clock()
        closure = rules.closure(reason, now, failure.resets_at, failure.retry_after)
        if reason == "minute":
            self._ledger.learn_cap(self._limits, start, named=failure.limit, resets_at=failure.resets_at)
        elif failure.limit is not None:
            self._ledger.record_day_report(day_limit=failure.limit, day_used=None)
        self._ledger.close_account(closure.until, reason)

    async def _ask(self, stopping: anyio.Event) -> Start | Stopped | Opening:
        """One question to the ledger, and what the answer means for the run; an opening now is to ask again."""
        if self._deadline is not None and self._clock() >= self._deadline:
            return self._over()
        if await self._keep_told(stopping):
            return Opening(at=self._clock())
        answer = self._ledger.reserve(self._limits, self._job)
        if isinstance(answer, Start):
            return answer
        if answer.reason == "day" and self._on_quota == "stop":
            told = await self._keep_told(stopping, giving_up=True)
            return Opening(at=self._clock()) if told else self._spent(answer.at)
        if self._deadline is not None and answer.at >= self._deadline:
            return self._over()
        return answer

    async def _keep_told(self, stopping: anyio.Event, *, giving_up: bool = False) -> bool:
        """Asks for the service's word on the day where there is a limit and the last word is old; whether it did."""
        now = self._clock()
        if self._limits.per_day is None or not worth_asking(self._asked, now, giving_up=giving_up):
            return False
        self._asked = now
        await _unless(stopping, self._refresh_quota)
        return True

    def _over(self) -> Stopped:
        self._ledger.withdraw()
        return Stopped(reason=StopReason.DEADLINE, message="the time given by --until is over", until=self._deadline)

    def _spent(self, until: float) -> Stopped:
        self._ledger.withdraw()
        usage = self._ledger.usage(self._limits)
        reserve = f", {self._limits.reserve} are left for others" if self._limits.reserve else ""
        used = f"the day's requests are used up: {usage.day_used} of {usage.day_limit}{reserve}"
        if any(closure.reason == "day" for closure in usage.closures):
            used = "the service says that the day's requests are used up"
        message = f"{used}; more at {iso(until)}"
        return Stopped(reason=StopReason.QUOTA, message=message, until=until)


def _same(opening: Opening, told: Opening | None) -> bool:
    """Whether a person who knows of `told` learns nothing from this one."""
    return told is not None and opening.reason == told.reason and abs(opening.at - told.at) <= WORTH_TELLING


async def _unless(stopping: anyio.Event, act: Callable[[], Awaitable[object]]) -> None:
    """Does something, but leaves it when the run is asked to stop."""

    async def watch() -> None:
        await stopping.wait()
        tasks.cancel_scope.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await act()
            tasks.cancel_scope.cancel()
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
