"""An open connection to a service: the client, the ledger of the account, and the catalogue of models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import httpx

from batchfree.core.chat import Failure
from batchfree.jobspec import EndpointSpec
from batchfree.service.openrouter.catalogue import ModelCatalogue, cache_dir
from batchfree.service.openrouter.client import Client
from batchfree.service.quota.account import fingerprint, ledger_path, state_dir
from batchfree.service.quota.ledger import Ledger

EMBEDDED_URL = "http://embedded.invalid/api/v1"
"""The base URL of the emulated OpenRouter inside the process; `.invalid` never resolves (RFC 2606)."""
Transport: TypeAlias = httpx.AsyncBaseTransport | None
"""The seam through which a service is reached; None is httpx's own over the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An open connection to a service, with the ledger of the account and the catalogue of its models."""

    client: Client
    ledger: Ledger
    catalogue: ModelCatalogue
    clock: Callable[[], float]

    async def refresh_quota(self) -> Failure | None:
        """Asks the service what is left of the day, which costs no request; the failure where it does not say."""
        state = await self.client.key()
        if isinstance(state, Failure):
            return state
        self.ledger.record_day_report(day_limit=state.day_limit, day_used=state.day_used)
        return None


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
    key = None if endpoint.embedded else find_api_key(endpoint, environment)
    path = ledger_path(state_dir(environment), fingerprint(key, base_url, endpoint.account))
    cache = None if endpoint.embedded else cache_dir(environment)
    transport = _embedded(clock) if endpoint.embedded else transport
    with Ledger(path, clock) as ledger:
        client = Client(base_url, key, transport=transport, connections=connections)
        try:
            catalogue = ModelCatalogue(client, cache, base_url, clock)
            yield Connection(client=client, ledger=ledger, catalogue=catalogue, clock=clock)
        finally:
            await client.aclose()


def find_api_key(endpoint: EndpointSpec, environment: Mapping[str, str]) -> str | None:
    """The API key, from the environment variable that the spec names."""
    return environment.get(endpoint.api_key_env, "").strip() or None


def _embedded(clock: Callable[[], float]) -> httpx.AsyncBaseTransport:
    """The emulated OpenRouter inside this process, reached over HTTP like the real one. Rehearsals need no quota:
    its key says 1,000 requests a day, and it holds nobody to that."""
    from batchfree.emulator import Scenario, create_app
    from batchfree.emulator.http.in_process import InProcessTransport
    from batchfree.emulator.quotas import EmulatedLimits

    limits = EmulatedLimits(per_minute=None, per_day=None, told_per_day=1000)
    return InProcessTransport(create_app(Scenario(limits=limits), clock=clock, require_key=False))
