"""The service that a job asks, with the account's ledger and limits: everything that depends on the endpoint."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import httpx

from batchfree.core.chat import Failure, JsonObject, Judged, Kind
from batchfree.core.stops import Stopped, StopReason
from batchfree.jobspec import EndpointSpec, JobSpec
from batchfree.run.sender import Complete
from batchfree.service.openrouter.catalogue import Catalogue, cache_dir
from batchfree.service.openrouter.client import Client
from batchfree.service.quota.account import fingerprint, ledger_path, state_dir
from batchfree.service.quota.ledger import Ledger
from batchfree.service.quota.limits import FREE_DAY, Limits
from batchfree.service.quota.rate_limiter import Pacer, Waiting
from batchfree.service.router import Router
from batchfree.service.routing import Policy

EMBEDDED_URL = "http://embedded.invalid/api/v1"
"""The base URL of the emulated OpenRouter inside the process; `.invalid` never resolves (RFC 2606)."""
Transport: TypeAlias = httpx.AsyncBaseTransport | None
"""The seam through which a service is reached; None is httpx's own over the network."""
SPECIAL_ROUTES = ("openrouter/free", "local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An open connection to a service, with the ledger of the account and the catalogue of its models."""

    client: Client
    ledger: Ledger
    catalogue: Catalogue
    clock: Callable[[], float]

    async def learn_quota(self) -> Failure | None:
        """Asks the service what is left of the day, which costs no request; the failure where it does not say."""
        state = await self.client.key()
        if isinstance(state, Failure):
            return state
        self.ledger.told(day_limit=state.day_limit, day_used=state.day_used)
        return None


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
        failure = await self.connection.learn_quota()
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

    def pacer(self, on_quota: Literal["stop", "wait"] | None, deadline: float | None, waiting: Waiting) -> Pacer:
        """Hands out the starts of this run; `deadline` in epoch seconds."""
        return Pacer(
            self.connection.ledger,
            self.limits,
            self.spec.name,
            clock=self.connection.clock,
            on_quota=on_quota or self.spec.limits.on_quota,
            deadline=deadline,
            waiting=waiting,
            learn=self.connection.learn_quota,
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
    special = router.route[0] in SPECIAL_ROUTES
    return Policy(
        only=router.only,
        exclude=router.exclude,
        min_context=router.min_context,
        ids=None if special else router.route,
        any_model=not special and not spec.endpoint.is_openrouter,
    )


@asynccontextmanager
async def connect(
    endpoint: EndpointSpec,
    environment: Mapping[str, str],
    clock: Callable[[], float],
    connections: int = 8,
    transport: Transport = None,
) -> AsyncIterator[Connection]:
    """Opens the connection and the ledger of the account whose key is in the environment. Raises StorageError."""
    base_url = EMBEDDED_URL if endpoint.embedded else endpoint.base_url
    key = None if endpoint.embedded else key_of(endpoint, environment)
    path = ledger_path(state_dir(environment), fingerprint(key, base_url, endpoint.account))
    cache = None if endpoint.embedded else cache_dir(environment)
    transport = _embedded(clock) if endpoint.embedded else transport
    with Ledger(path, clock) as ledger:
        client = Client(base_url, key, transport=transport, connections=connections)
        try:
            catalogue = Catalogue(client, cache, base_url, clock)
            yield Connection(client=client, ledger=ledger, catalogue=catalogue, clock=clock)
        finally:
            await client.aclose()


def key_of(endpoint: EndpointSpec, environment: Mapping[str, str]) -> str | None:
    """The API key, from the environment variable that the spec names."""
    return environment.get(endpoint.api_key_env, "").strip() or None


def _embedded(clock: Callable[[], float]) -> httpx.AsyncBaseTransport:
    """The emulated OpenRouter inside this process, reached over HTTP like the real one. Rehearsals need no quota:
    its key says 1,000 requests a day, and it holds nobody to that."""
    from batchfree.emulator import Scenario, create_app
    from batchfree.emulator.http.in_process import InProcessTransport
    from batchfree.emulator.quotas import Limits as EmulatedLimits

    limits = EmulatedLimits(per_minute=None, per_day=None, told_per_day=1000)
    return InProcessTransport(create_app(Scenario(limits=limits), clock=clock, require_key=False))
