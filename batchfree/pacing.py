"""Waiting for a start: what stands between a worker and its request.

The ledger decides; this waits, for one worker at a time, and gives up with a value where the run should end. Waits
are cut into pieces, since a laptop sleeps and clocks jump, and each piece ends when the run is asked to stop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import anyio

from batchfree import limits as rules
from batchfree.chat import Failure, Kind
from batchfree.ledger import Ledger, Start
from batchfree.limits import Limits, Opening, Reason

PIECE = 60.0
"""Seconds slept before the clock is read again."""
TICK = 0.001
"""Seconds slept at least: what a clock's rounding may leave of a wait."""
WORTH_TELLING = 1.0
"""Seconds that a wait must last to be shown to a person."""

Waiting: TypeAlias = Callable[[str | None, float | None], None]
REASONS: dict[Kind, Reason] = {Kind.MINUTE_LIMIT: "minute", Kind.DAY_LIMIT: "day"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """No start any more in this run: the day is spent until `until`, the deadline is there, or a stop was asked for."""

    reason: Literal["quota", "deadline", "stopping"]
    until: float | None = None


class Pacer:
    """Hands out the starts of one job in one process. `waiting` hears the reason and end of a wait, then two Nones."""

    def __init__(
        self,
        ledger: Ledger,
        limits: Limits,
        job: str,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        on_quota: Literal["stop", "wait"] = "stop",
        deadline: float | None = None,
        waiting: Waiting = lambda reason, until: None,
    ) -> None:
        """`clock` and `deadline` are epoch seconds; nothing starts at the deadline or after it."""
        self._ledger, self._limits, self._job = ledger, limits, job
        self._clock, self._sleep, self._waiting = clock, sleep, waiting
        self._on_quota, self._deadline = on_quota, deadline
        self._turn = anyio.Lock(fast_acquire=True)

    async def start(self, stopping: anyio.Event) -> Start | Stopped:
        """Waits for a start and reserves it. A cancellation leaves nothing behind: nothing is awaited after that."""
        async with self._turn:
            told = False
            try:
                while True:
                    opening = self._ask(stopping)
                    if not isinstance(opening, Opening):
                        return opening
                    if opening.at - self._clock() > WORTH_TELLING:
                        self._waiting(opening.reason, opening.at)
                        told = True
                    await self._pause(opening.at, stopping)
            except anyio.get_cancelled_exc_class():
                self._ledger.withdraw()
                raise
            finally:
                if told:
                    self._waiting(None, None)

    def give_back(self, start: Start) -> None:
        """Returns a start whose request was not sent after all."""
        self._ledger.give_back(start)

    def refused(self, failure: Failure, start: Start) -> None:
        """Takes a 429 of the account in: the account closes for every process, and its cap is learned."""
        reason, now = REASONS[failure.kind], self._clock()
        closure = rules.closure(reason, now, failure.resets_at, failure.retry_after)
        if reason == "minute":
            self._ledger.learn(self._limits, start, named=failure.limit, resets_at=failure.resets_at)
        elif failure.limit is not None:
            self._ledger.told(day_limit=failure.limit, day_used=None)
        self._ledger.close(closure.until, reason)

    def _ask(self, stopping: anyio.Event) -> Start | Stopped | Opening:
        """One question to the ledger, and what the answer means for the run."""
        if stopping.is_set():
            return self._stopped(Stopped(reason="stopping"))
        if self._deadline is not None and self._clock() >= self._deadline:
            return self._stopped(Stopped(reason="deadline", until=self._deadline))
        answer = self._ledger.reserve(self._limits, self._job)
        if isinstance(answer, Start):
            return answer
        if answer.reason == "day" and self._on_quota == "stop":
            return self._stopped(Stopped(reason="quota", until=answer.at))
        if self._deadline is not None and answer.at >= self._deadline:
            return self._stopped(Stopped(reason="deadline", until=self._deadline))
        return answer

    def _stopped(self, stopped: Stopped) -> Stopped:
        self._ledger.withdraw()
        return stopped

    async def _pause(self, until: float, stopping: anyio.Event) -> None:
        """Sleeps until a moment, at most a piece, or until the run is asked to stop."""

        async def watch() -> None:
            await stopping.wait()
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await self._sleep(min(max(until - self._clock(), TICK), PIECE))
            tasks.cancel_scope.cancel()
