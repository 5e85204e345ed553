"""The queue in front of the rate limiter: which chat call gets the next start.

A call that is tried again comes before new calls, since it has already cost a request. Otherwise calls start in the
order of arrival. Batches come after all calls: they look at `waiting` before each start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from batchfree.core.chat import Failure
from batchfree.core.stops import Stopped, StopReason
from batchfree.service.quota.ledger_entries import Start
from batchfree.service.quota.rate_limiter import RateLimiter


@dataclass(slots=True, kw_only=True, eq=False)
class _Place:
    """A place in the queue. `again` says that its call has had a start before. `turn` is set when it is the first."""

    again: bool
    turn: anyio.Event = field(default_factory=anyio.Event)


class StartQueue:
    """All chat calls that wait for a start. At most `at_once` requests are in flight."""

    def __init__(self, limiter: RateLimiter, at_once: int, clock: Callable[[], float]) -> None:
        """`clock` gives epoch seconds."""
        self.limiter, self.clock = limiter, clock
        self.in_flight = 0
        self._at_once = anyio.Semaphore(at_once)
        self._places: list[_Place] = []

    @property
    def waiting(self) -> int:
        """Number of calls that wait for a start."""
        return len(self._places)

    async def acquire(self, stopping: anyio.Event, *, again: bool) -> Start | Stopped | None:
        """Waits for a start, as `RateLimiter.acquire`; `again` says that the call has had one before.

        A start counts as in flight until `finish`. A cancellation leaves neither a place nor a start behind.
        """
        place = self._join(again=again)
        try:
            await place.turn.wait()
            await self._at_once.acquire()
            start: Start | Stopped | None = None
            try:
                start = await self.limiter.acquire(stopping)
            finally:
                if not isinstance(start, Start):
                    self._at_once.release()
        finally:
            self._leave(place)
        self.in_flight += isinstance(start, Start)
        return start

    def finish(self) -> None:
        """Makes room for the next request, after a request that had a start has ended."""
        self.in_flight -= 1
        self._at_once.release()

    def _join(self, *, again: bool) -> _Place:
        """Adds a place at the end, or with `again` behind the calls that are tried again. The first keeps its turn."""
        place = _Place(again=again)
        ahead = len(self._places)
        if again:
            ahead = next((at for at, other in enumerate(self._places) if at and not other.again), ahead)
        self._places.insert(ahead, place)
        self._places[0].turn.set()
        return place

    def _leave(self, place: _Place) -> None:
        self._places.remove(place)
        if self._places:
            self._places[0].turn.set()


class CallStarts:
    """The starts of one call. Its exchange uses them in place of the rate limiter."""

    def __init__(self, queue: StartQueue, max_wait: float) -> None:
        """The call waits at most `max_wait` seconds for each start."""
        self._queue, self._max_wait = queue, max_wait
        self._had, self._is_used = False, False
        self._start: Start | None = None

    async def acquire(self, stopping: anyio.Event) -> Start | Stopped | None:
        """Waits for a start.

        Returns `Stopped` if the day is spent or no start came in time, and None once `stopping` is set. A cancellation
        leaves neither a place nor a start behind.
        """
        with anyio.move_on_after(self._max_wait):
            start = await self._queue.acquire(stopping, again=self._had)
            if isinstance(start, Start):
                self._had, self._is_used, self._start = True, False, start
            return start
        message = f"no start within {self._max_wait:g} seconds"
        return Stopped(reason=StopReason.DEADLINE, message=message)

    def give_back(self, start: Start) -> None:
        """Returns a start whose request was not sent."""
        self._queue.limiter.give_back(start)

    def record_refusal(self, failure: Failure, start: Start) -> None:
        """Records a 429 of the account."""
        self._queue.limiter.record_refusal(failure, start)

    def use(self) -> None:
        """Notes that the service has begun to receive the request of the last start."""
        self._is_used = True

    def give_back_unused(self) -> None:
        """Returns the last start if its request never reached the service, because the client left before."""
        if self._start is not None and not self._is_used:
            self.give_back(self._start)

    def finish(self) -> None:
        """Ends the request of the last start, if there was one."""
        if self._start is not None:
            self._start = None
            self._queue.finish()
