"""What a job may use of its endpoint: the limits, the models, and the parts that talk to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from batchfree.core.chat import JsonObject, Judged, Kind
from batchfree.core.routes import FREE_ROUTER
from batchfree.core.stops import Stopped, StopReason
from batchfree.jobspec import JobSpec
from batchfree.run.follow_up import RetryPolicy
from batchfree.service.connection import Connection
from batchfree.service.exchange import Complete
from batchfree.service.quota.limits import FREE_DAY, Limits
from batchfree.service.quota.rate_limiter import RateLimiter, ReportWait
from batchfree.service.quota.wait_policy import WaitPolicy
from batchfree.service.router import Router
from batchfree.service.routing import RoutingPolicy
from batchfree.service.routing.requirements import token_limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An open connection, used by one job."""

    spec: JobSpec
    connection: Connection

    @property
    def limits(self) -> Limits:
        """What the job may use of the account."""
        limits = self.spec.limits
        auto = limits.requests_per_day == "auto"
        return Limits(
            per_minute=limits.requests_per_minute,
            per_day=FREE_DAY if limits.requests_per_day == "auto" else limits.requests_per_day,
            reserve=limits.reserve,
            auto=auto,
        )

    async def check_key(self) -> Stopped | None:
        """Asks for the daily quota if there is a daily limit. Returns the reason to stop if the key is refused.

        A server of the user's own need not know this call, if the job gives the daily limit as a number.
        """
        limits = self.limits
        if limits.per_day is None:
            return None
        failure = await self.connection.refresh_quota()
        is_asked_rightly = limits.auto or self.spec.endpoint.is_openrouter
        if failure is None or failure.kind is not Kind.KEY_REFUSED or not is_asked_rightly:
            return None
        return Stopped(reason=StopReason.KEY_REFUSED, message=failure.message)

    def router(self, resting: Callable[[str, float], None]) -> Router:
        """The free router of one run; `resting` as in `Router`."""
        return Router(routing_policy(self.spec), self.connection.catalogue, self.connection.clock, resting)

    def rate_limiter(self, policy: WaitPolicy, report_wait: ReportWait) -> RateLimiter:
        """The rate limiter of one run, on the clock of the ledger. `policy` is on the clock of this process."""
        ledger = self.connection.ledger
        if policy.deadline is not None:
            ahead = ledger.clock() - self.connection.clock()
            policy = replace(policy, deadline=policy.deadline + ahead)
        return RateLimiter(
            ledger,
            self.limits,
            self.spec.name,
            clock=ledger.clock,
            policy=policy,
            report_wait=report_wait,
            refresh_quota=self.connection.refresh_quota,
        )

    def completer(self, in_flight: Callable[[int], None]) -> Complete:
        """The function that sends one body within `retry.timeout`.

        `in_flight` is called with 1 before each request and with -1 after it.
        """

        client, seconds = self.connection.client, self.spec.retry.timeout

        async def complete(body: JsonObject) -> Judged:
            in_flight(1)
            try:
                return await client.complete(body, seconds)
            finally:
                in_flight(-1)

        return complete


def retry_policy(spec: JobSpec) -> RetryPolicy:
    """How often the job asks a row."""
    return RetryPolicy(max_attempts=spec.retry.max_attempts, reask=spec.answer.reask)


def routing_policy(spec: JobSpec) -> RoutingPolicy:
    """What the job says about models."""
    router = spec.router
    return RoutingPolicy(
        route=router.route or (FREE_ROUTER,),
        only=router.only,
        exclude=router.exclude,
        min_context=router.min_context,
        fallbacks=router.fallbacks,
        token_limit=token_limit(spec.request),
        own_endpoint=not spec.endpoint.is_openrouter,
    )
