"""Answers chat calls: one attempt after another, each on another free model, until there is an answer.

It resembles the sender of jobs, without packs and journal, and uses the same `Exchange`. Its loop is its own, since a
call has other limits of time and attempts than a row.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import anyio

from batchfree.core.chat import ChatRequest, Completion, Failure, JsonObject, Judged, Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.core.errors import StorageError, UnavailableError
from batchfree.core.stops import Stopped, StopReason
from batchfree.gateway.call_state import CallState, flaw_of
from batchfree.gateway.chat_call import ChatCall
from batchfree.gateway.http_refusal import HttpRefusal, failure_refusal, limit_refusal, stop_refusal, unavailable
from batchfree.gateway.route_shelf import RouteShelf
from batchfree.gateway.start_queue import CallStarts, StartQueue
from batchfree.run.backoff import backoff, seconds_until
from batchfree.service.exchange import Exchange, Response, Unreached
from batchfree.service.openrouter.client import WholeReply
from batchfree.service.quota.account import QuotaUsage
from batchfree.service.router import Lesson
from batchfree.service.routing import (
    Ask,
    Criteria,
    NoVoterLeft,
    Reject,
    Stop,
    Wait,
    analyze,
    hinted_seconds,
    stop_after,
)
from batchfree.service.unless import unless

MOST_UNREACHED = 3
"""Requests without a connection after which a call ends."""
UNREACHED_WAIT_S = 1.0
"""Seconds until the next request after one without a connection, times the number of such requests."""
CLOSED_S = 60.0
"""Seconds without any request after a failure that only a person can resolve."""
GIVEN_UP = (StopReason.POOL_DOWN, StopReason.SERVICE_DOWN)

Send: TypeAlias = Callable[[JsonObject, float, Callable[[], None]], Awaitable[WholeReply]]
"""Sends one request body within a number of seconds. Calls the function when the service begins to see the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReply:
    """The reply of the service as it came, and the models that were tried for it."""

    payload: JsonObject
    tried: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often a call tries; times in seconds. `max_wait` holds for each start."""

    max_wait: float
    max_attempts: int
    timeout: float
    longest_backoff: float


class Failover:
    """Answers the chat calls of all clients."""

    def __init__(
        self,
        *,
        shelf: RouteShelf,
        queue: StartQueue,
        send: Send,
        patience: Patience,
        usage: Callable[[], Awaitable[QuotaUsage]],
        sent: Callable[[str, Judged], None],
        rng: random.Random,
    ) -> None:
        """`sent` is called after every request, with the model or route that was asked, and the result."""
        self.shelf, self.queue, self.send, self.patience = shelf, queue, send, patience
        self.usage, self.sent, self.rng = usage, sent, rng
        self.stopping = anyio.Event()
        self.closed: Stopped | None = None
        """Why no request is sent, for some time or for good; None if requests are sent."""

    async def answer(self, call: ChatCall) -> ChatReply | HttpRefusal:
        """The reply to a call, or why there is none.

        A cancellation gives back the place in the queue and an unused start, and closes the connection of a request in
        flight.
        """
        attempts = _CallAttempts(self, call)
        while True:
            try:
                result = await attempts.make_one()
            except UnavailableError as error:
                result = unavailable(str(error))
            except StorageError as error:
                result = HttpRefusal(status=500, message=str(error))
            if isinstance(result, ChatReply):
                return result
            if isinstance(result, HttpRefusal):
                tried = ", ".join(attempts.state.tried)
                return result.with_header("X-Batchfree-Attempts", tried) if tried else result
            await unless(self.stopping, partial(anyio.sleep, result))

    def close(self, stopped: Stopped) -> None:
        """Sends no more requests: for good after a charge, else for a minute."""
        until = None if stopped.reason is StopReason.CHARGED else self.queue.clock() + CLOSED_S
        self.closed = replace(stopped, until=until)

    def refusal_while_closed(self) -> HttpRefusal | None:
        """The refusal of all calls while no request is sent; None if requests are sent."""
        now = self.queue.clock()
        if self.closed is not None and self.closed.until is not None and now >= self.closed.until:
            self.closed = None
        return None if self.closed is None else stop_refusal(self.closed, now)


class _CallAttempts:
    """The attempts of one call."""

    def __init__(self, failover: Failover, call: ChatCall) -> None:
        self.state = CallState()
        self._failover, self._call = failover, call
        self._starts = CallStarts(failover.queue, failover.patience.max_wait)
        self._clock, self._payload, self._rested = failover.queue.clock, JsonObject(), 0.0
        self._exchange = Exchange(
            router=failover.shelf.router(call.route),
            rate_limiter=self._starts,
            complete=self._complete,
            clock=self._clock,
            stopping=failover.stopping,
            warn=lambda sentence: None,
        )

    async def make_one(self) -> ChatReply | HttpRefusal | float:
        """One attempt. A number is the seconds until the next one. Raises UnavailableError and StorageError."""
        if (refusal := self._failover.refusal_while_closed()) is not None:
            return refusal
        try:
            result = await self._exchange.send((self.state,), self._criteria(), self._compose, lambda rows: None)
        except anyio.get_cancelled_exc_class():
            self._starts.give_back_unused()
            raise
        finally:
            self._starts.finish()
        match result:
            case Response():
                return self._settle(result)
            case Unreached(stopped=stopped):
                return self._unreached(stopped)
            case Wait(until=until):
                return self._rest(until)
            case Reject(failure=failure):
                return failure_refusal(failure)
            case NoVoterLeft():
                return unavailable("every model that can answer rests")
            case Stop(stopped=stopped):
                return await self._stop(stopped)

    async def _complete(self, body: JsonObject) -> Judged:
        whole = await self._failover.send(body, self._failover.patience.timeout, self._starts.use)
        self._payload = whole.payload
        return whole.judged

    def _criteria(self) -> Criteria:
        needs = analyze(self._call.request, context_above=self.state.context_above)
        return Criteria(needs=needs, salt=str(self._failover.rng.getrandbits(64)))

    def _compose(self, ask: Ask[CallState]) -> ChatRequest:
        return self._call.request

    def _settle(self, response: Response[CallState]) -> ChatReply | HttpRefusal | float:
        """Draws the conclusions from a response. Synchronous, so that no cancellation loses what was learned."""
        judged, draw = response.judged, response.ask.draw
        flaw = flaw_of(judged, self._call.rule) if isinstance(judged, Completion) else None
        failure = judged if isinstance(judged, Failure) else flaw
        self._exchange.learn(response, Lesson(flaw=flaw, answered=failure is None, question=self._call.digest))
        self._failover.sent(judged.model or draw.models[0], judged if flaw is None else flaw)
        if (stopped := stop_after(judged)) is not None:
            self._failover.close(stopped)
        if failure is not None and CONSEQUENCES[failure.kind] is Consequence.ACCOUNT:
            return 0.0
        self.state = self.state.after(draw, judged)
        if failure is None:
            return ChatReply(payload=self._payload, tried=self.state.tried)
        return self._follow(failure, response)

    def _follow(self, failure: Failure, response: Response[CallState]) -> HttpRefusal | float:
        """What follows from a failure: the seconds until another model is asked, or the end of the call."""
        consequence, draw = CONSEQUENCES[failure.kind], response.ask.draw
        if failure.kind is Kind.CONTEXT_LENGTH:
            too_small = self._exchange.router.context_too_small(failure, draw, self._criteria().needs)
            if too_small.larger_left and self.state.attempts < self._failover.patience.max_attempts:
                self.state = replace(self.state, context_above=too_small.tokens)
                return 0.0
        is_last = self.state.attempts >= self._failover.patience.max_attempts
        if is_last or consequence in (Consequence.REJECT, Consequence.PERSON):
            return failure_refusal(failure)
        if draw.of != 1 or consequence is not Consequence.ANOTHER_MODEL:
            return 0.0
        self.state = replace(self.state, failures=self.state.failures + 1)
        hint = hinted_seconds(failure, self._clock()) if draw.is_own else 0.0
        longest = self._failover.patience.longest_backoff
        return backoff(self.state.failures, rng=self._failover.rng, max_wait=longest, hint=min(hint, longest))

    def _unreached(self, stopped: Stopped | None) -> HttpRefusal | float:
        self.state = replace(self.state, unreached=self.state.unreached + 1)
        if stopped is not None or self.state.unreached >= MOST_UNREACHED:
            return unavailable("the service can't be reached: no connection came about")
        return UNREACHED_WAIT_S * self.state.unreached

    def _rest(self, until: float) -> HttpRefusal | float:
        """All models that may answer rest. The call waits for them at most as long as for a start."""
        seconds = seconds_until(until, self._clock())
        self._rested += seconds
        if self._rested > self._failover.patience.max_wait:
            return unavailable("every free model that can answer rests after failures", seconds)
        return seconds

    async def _stop(self, stopped: Stopped | None) -> HttpRefusal | float:
        now = self._clock()
        if stopped is None:
            return unavailable("this server is stopping", 1.0)
        if stopped.reason in GIVEN_UP and self._failover.shelf.allow_trial(self._call.route):
            return 0.0
        if stopped.reason is StopReason.NO_MODEL and not await self._failover.shelf.knows(self._call.route):
            return HttpRefusal(status=404, message=f"No endpoints found for {', '.join(self._call.route)}.")
        if stopped.reason not in (StopReason.QUOTA, StopReason.DEADLINE):
            return stop_refusal(stopped, now)
        usage = await self._failover.usage()
        if stopped.reason is StopReason.QUOTA:
            resets_at = usage.day_resets_at if stopped.until is None else stopped.until
            return limit_refusal("day", limit=usage.day_limit, resets_at=resets_at, now=now)
        resets_at = max(usage.minute_resets_at, now + 1)
        return limit_refusal("minute", limit=usage.minute_limit, resets_at=resets_at, now=now)
