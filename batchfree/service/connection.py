"""A connection to a service: the client, the ledger of the account, and the catalogue of models."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from batchfree.core.chat import Failure
from batchfree.core.routes import llama_model
from batchfree.core.text import nearest
from batchfree.jobspec import EndpointSpec
from batchfree.service.llama.server import LlamaModel, LlamaServer, check_installed, run_llama
from batchfree.service.llama.weights import find_weights
from batchfree.service.openrouter.catalogue import ModelCatalogue, cache_dir
from batchfree.service.openrouter.client import Client
from batchfree.service.quota.account import LedgerUrl, fingerprint, ledger_path, ledger_place, state_dir
from batchfree.service.quota.ledger import Ledger
from batchfree.service.quota.ledger_db import IN_MEMORY

if TYPE_CHECKING:
    import httpx

EMBEDDED_URL = "http://embedded.invalid/api/v1"
"""The base URL of the emulated OpenRouter inside this process. `.invalid` never resolves (RFC 2606)."""
KEYS_PAGE = "https://openrouter.ai/settings/keys"
NEAR = 0.8
"""Least similarity, from 0 to 1, of a variable's name to the key's name at which it counts as misspelt."""
Transport: TypeAlias = "httpx.AsyncBaseTransport | None"
"""How HTTP requests reach a service; None means over the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """An open connection to a service, with the ledger of the account and the catalogue of models.

    `server` is the service itself if this process has started it.
    """

    client: Client
    ledger: Ledger
    catalogue: ModelCatalogue
    clock: Callable[[], float]
    server: LlamaServer | None = None

    async def refresh_quota(self) -> Failure | None:
        """Asks the service for the daily quota and records the answer in the ledger. The call costs no request.

        Returns the failure if the service did not answer. A cancellation leaves the ledger as it was.
        """
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
    say: Callable[[str], None] = lambda sentence: None,
    *,
    tells_begin: bool = False,
) -> AsyncIterator[Connection]:
    """Opens a connection for at most `connections` requests at a time; the key comes from the environment.

    `embedded` is an account of its own, new with each connection. For `llama` a server is started, and ended with the
    connection. `say` takes a sentence before weights are fetched, and if the database of the ledger is out of reach.
    `tells_begin` as in `Client`.

    Raises StorageError if the ledger or the cache can't be used, SpecError for a wrong URL of the ledger,
    UnavailableError if no weights can be fetched, and BatchfreeError for an impossible key or a server that does not
    start. A cancellation ends the server.
    """
    base_url = EMBEDDED_URL if endpoint.embedded else endpoint.base_url
    is_here = endpoint.embedded or endpoint.is_llama
    key = None if is_here else find_api_key(endpoint, environment)
    account = fingerprint(key, base_url, endpoint.account)
    place = _ledger_of(endpoint, environment, account, clock)
    cache = None if is_here else cache_dir(environment)
    transport = _embedded_transport(clock) if endpoint.embedded else transport
    async with AsyncExitStack() as stack:
        server = None
        if endpoint.is_llama:
            server = await stack.enter_async_context(_llama_server(endpoint, environment, say))
            base_url = server.base_url
        ledger = stack.enter_context(Ledger(place, clock, say))
        fast = not endpoint.is_openrouter
        variable = endpoint.api_key_env
        client = Client(
            base_url, key, transport, connections=connections, fast=fast, tells_begin=tells_begin, key_variable=variable
        )
        stack.push_async_callback(client.aclose)
        catalogue = ModelCatalogue(client, cache, base_url, clock)
        yield Connection(client=client, ledger=ledger, catalogue=catalogue, clock=clock, server=server)


@asynccontextmanager
async def _llama_server(
    endpoint: EndpointSpec, environment: Mapping[str, str], say: Callable[[str], None]
) -> AsyncIterator[LlamaServer]:
    """The server of `endpoint: llama`, with the job's own weights or those of SmolLM2-135M."""
    check_installed()
    file = await find_weights(cache_dir(environment), say) if endpoint.llama is None else Path(endpoint.llama)
    name = llama_model(endpoint.llama)
    async with run_llama(
        LlamaModel(path=file, name=name, context=endpoint.context, threads=endpoint.threads)
    ) as server:
        yield server


def _ledger_of(
    endpoint: EndpointSpec, environment: Mapping[str, str], account: str, clock: Callable[[], float]
) -> Path | LedgerUrl:
    """The ledger of the account. No other machine shares a service inside this process or on this machine.

    `clock` replaces the clock of a database, unless it is the clock of the system.
    """
    if endpoint.embedded:
        return IN_MEMORY
    if endpoint.is_llama:
        return ledger_path(state_dir(environment), account)
    place = ledger_place(environment, account)
    return replace(place, own_clock=clock is time.time) if isinstance(place, LedgerUrl) else place


def find_api_key(endpoint: EndpointSpec, environment: Mapping[str, str]) -> str | None:
    """The API key from the environment variable that the spec names; None if it is missing or blank."""
    return environment.get(endpoint.api_key_env, "").strip() or None


def missing_key(endpoint: EndpointSpec, environment: Mapping[str, str]) -> str:
    """What to do without an API key, in sentences. Names a variable that looks like a misspelt one, never its value."""
    name = endpoint.api_key_env
    near = nearest(name, {each.upper(): each for each in environment if each != name}, NEAR)
    misspelt = next((each for each in environment if each != name and each.upper() == near), None)
    hint = f" The variable {misspelt} is set: is its name misspelt?" if misspelt else ""
    state = "is empty" if name in environment else "is not set"
    return (
        f"no API key: {name} {state}.{hint} Get a key at {KEYS_PAGE} and type: export {name}=sk-or-… "
        f"(or write {name}=sk-or-… into a file .env beside the job file)"
    )


def _embedded_transport(clock: Callable[[], float]) -> httpx.AsyncBaseTransport:
    """The emulated OpenRouter inside this process. It has no limits of its own; only the limits of the job apply."""
    from batchfree.emulator import Scenario, create_app
    from batchfree.emulator.http.in_process import InProcessTransport
    from batchfree.emulator.quotas import EmulatedLimits

    limits = EmulatedLimits(per_minute=None, per_day=None)
    return InProcessTransport(create_app(Scenario(limits=limits), clock=clock, require_key=False))
