"""One exchange with the service: decide, wait for a start, send, judge, learn.

The core of every request, with or without packs and journal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

import anyio
import msgspec

from batchfree.core.chat import ChatRequest, Completion, Failure, JsonObject, Judged
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.core.stops import Stopped
from batchfree.service.openrouter import wire
from batchfree.service.own_endpoint import on_own_endpoint, without_schema
from batchfree.service.quota.ledger_entries import Start
from batchfree.service.reach import Reach
from batchfree.service.router import Lesson, Router
from batchfree.service.routing import Ask, Criteria, NoVoterLeft, Reject, RoutedRow, Stop, Wait

RowT = TypeVar("RowT", bound=RoutedRow)
STILL_NOW_S = 0.05
"""A decision is made again if it is older than this number of seconds, or if anything else has changed."""
Complete: TypeAlias = Callable[[JsonObject], Awaitable[Judged]]
"""Sends one request body. Failures of the service or of the network are values; they raise nothing."""


class Response(msgspec.Struct, Generic[RowT], frozen=True, kw_only=True):
    """A judged response to a request that was sent; `latency` in seconds."""

    ask: Ask[RowT]
    judged: Judged
    start: Start
    latency: float
    stopped: Stopped | None = None
    """Why the run ends, if the service is given up after this response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreached(Generic[RowT]):
    """There was no connection, so the request does not count and its start is given back. Ask for `rows` again."""

    rows: tuple[RowT, ...]
    stopped: Stopped | None


class StartGiver(Protocol):
    """Who hands out the starts: the rate limiter, or a queue in front of it. The methods are those of `RateLimiter`."""

    async def acquire(self, stopping: anyio.Event) -> Start | Stopped | None: ...

    def give_back(self, start: Start) -> None: ...

    def record_refusal(self, failure: Failure, start: Start) -> None: ...


class Exchange:
    """Sends requests to free models and learns from the responses, for all workers of a run."""

    def __init__(
        self,
        *,
        router: Router,
        rate_limiter: StartGiver,
        complete: Complete,
        clock: Callable[[], float],
        stopping: anyio.Event,
        warn: Callable[[str], None],
    ) -> None:
        """No request is started once `stopping` is set. `clock` gives epoch seconds; `warn` tells a person at once."""
        self.router = router
        self._rate_limiter, self._complete, self._clock, self._stopping = rate_limiter, complete, clock, stopping
        self._warn, self._reach = warn, Reach()
        self._took_schema = set[str]()

    async def send(
        self,
        rows: Sequence[RowT],
        criteria: Criteria,
        compose: Callable[[Ask[RowT]], ChatRequest],
        spare: Callable[[Sequence[RowT]], None],
    ) -> Response[RowT] | Unreached[RowT] | Wait[RowT] | Reject[RowT] | NoVoterLeft[RowT] | Stop:
        """One request for these rows, or the reason why there is none.

        `spare` gets the rows that need another request, as soon as they are known. The decision is made before the wait
        for a start, and again after it if anything changed meanwhile. If `compose` raises, or there is no connection,
        the start is given back.

        A cancellation before the request is sent leaves nothing behind, after that a used start. No `await` stands
        between the response and its return to the caller.
        """
        await self.router.refresh()
        decision, changes, now = self.router.decide(rows, criteria), self.router.changes, self._clock()
        if not isinstance(decision, Ask):
            return decision
        spare(decision.spared)
        start = await self._rate_limiter.acquire(self._stopping)
        if not isinstance(start, Start):
            return Stop(stopped=start)
        if self.router.changes != changes or self._clock() - now > STILL_NOW_S:
            decision = self.router.decide(decision.rows, criteria)
            if not isinstance(decision, Ask):
                self._rate_limiter.give_back(start)
                return decision
            spare(decision.spared)
        return await self._post(decision, start, compose, criteria)

    async def _post(
        self, ask: Ask[RowT], start: Start, compose: Callable[[Ask[RowT]], ChatRequest], criteria: Criteria
    ) -> Response[RowT] | Unreached[RowT]:
        try:
            request = compose(ask)
        except BaseException:
            self._rate_limiter.give_back(start)
            raise
        self.router.claim(ask.draw)
        began = self._clock()
        body = wire.body(request, ask.draw.models, any_model=self.router.policy.own_endpoint)
        try:
            judged = await self._complete(body)
        except BaseException:
            self.router.release(ask.draw)
            raise
        if self.router.policy.own_models:
            judged = self._on_own_endpoint(judged, ask, criteria)
        ended, is_first = self._clock(), self._reach.lost_since is None
        stopped = self._reach.note(judged, ended)
        if isinstance(judged, Failure) and judged.unsent:
            if is_first:
                self._warn(f"{judged.message}; trying again")
            self._rate_limiter.give_back(start)
            self.router.release(ask.draw)
            return Unreached(rows=ask.rows, stopped=stopped)
        return Response(ask=ask, judged=judged, start=start, latency=ended - began, stopped=stopped)

    def _on_own_endpoint(self, judged: Judged, ask: Ask[RowT], criteria: Criteria) -> Judged:
        model = ask.draw.models[0]
        judged = on_own_endpoint(judged, model, self._clock())
        if ask.native and isinstance(judged, Completion):
            self._took_schema.add(model)
        elif ask.native and not criteria.needs_schema and model not in self._took_schema:
            judged = without_schema(judged)
        return judged

    def learn(self, response: Response[RowT], lesson: Lesson) -> None:
        """Learns from a response about the models, and about the account if a limit refused the request."""
        judged = response.judged
        self.router.learn(response.ask.draw, judged, lesson)
        if isinstance(judged, Failure) and CONSEQUENCES[judged.kind] is Consequence.ACCOUNT:
            self._rate_limiter.record_refusal(judged, response.start)
