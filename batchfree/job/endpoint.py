"""The service that a job asks, with the account's ledger and limits: everything that depends on the endpoint."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from batchfree.core.chat import JsonObject, Judged, Kind
from batchfree.core.routes import ROUTERS
from batchfree.core.stops import Stopped, StopReason
from batchfree.jobspec import JobSpec
from batchfree.run.sender import Complete
from batchfree.service.connection import Connection
from batchfree.service.quota.limits import FREE_DAY, Limits
from batchfree.service.quota.rate_limiter import RateLimiter, ReportWait, WaitPolicy
from batchfree.service.router import Router
from batchfree.service.routing import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A connection in the service of a job: its limits, its routes, its deadline."""

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

    async def open(self) -> Stopped | None:
        """Asks for the quota where there is one; a key that is refused ends the run before it begins.

        A server of one's own whose day was given as a number need not know the question.
        """
        limits = self.limits
        if limits.per_day is None:
            return None
        failure = await self.connection.refresh_quota()
        known = limits.auto or self.spec.endpoint.is_openrouter
        if failure is None or failure.kind is not Kind.KEY_REFUSED or not known:
            return None
        return Stopped(reason=StopReason.KEY_REFUSED, message=failure.message)

    def router(self, rng: random.Random) -> Router:
        """The free router of this run."""
        spec = self.spec.router
        return Router(
            route=spec.route,
            policy=policy(self.spec),
            fallbacks=spec.fallbacks,
            catalogue=self.connection.catalogue,
            clock=self.connection.clock,
            rng=rng,
        )

    def rate_limiter(
        self, on_quota: Literal["stop", "wait"] | None, deadline: float | None, waiting: ReportWait
    ) -> RateLimiter:
        """Hands out the starts of this run; `deadline` in epoch seconds."""
        return RateLimiter(
            self.connection.ledger,
            self.limits,
            self.spec.name,
            clock=self.connection.clock,
            policy=WaitPolicy(on_quota=on_quota or self.spec.limits.on_quota, deadline=deadline),
            report_wait=waiting,
            refresh_quota=self.connection.refresh_quota,
        )

    def completer(self, in_flight: Callable[[int], None]) -> Complete:
        """Sends one body, within the spec's timeout; `in_flight` hears of each departure (1) and return (-1)."""

        async def complete(body: JsonObject) -> Judged:
            in_flight(1)
            try:
                return await self.connection.client.complete(body, self.spec.retry.timeout)
            finally:
                in_flight(-1)

        return complete


def policy(spec: JobSpec) -> Policy:
    """What the spec says about models."""
    router = spec.router
    special = router.route[0] in ROUTERS
    return Policy(
        only=router.only,
        exclude=router.exclude,
        min_context=router.min_context,
        ids=None if special else router.route,
        any_model=not special and not spec.endpoint.is_openrouter,
    )
