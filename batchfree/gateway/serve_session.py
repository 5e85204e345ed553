"""One session of `serve`: from the endpoint to the open port, until a signal ends it."""

from __future__ import annotations

import re
import socket
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from starlette.types import ASGIApp

from batchfree.core.errors import unwritable
from batchfree.core.stops import Stopped, StopReason
from batchfree.gateway.access import AccessRules
from batchfree.gateway.front_door import FrontDoor
from batchfree.gateway.gateway import Gateway
from batchfree.gateway.gateway_app import gateway_app
from batchfree.gateway.http_server import QuietGatewayServer, listen, make_gateway_server, url_of
from batchfree.job.endpoint import Endpoint
from batchfree.job.own_route import with_route
from batchfree.jobspec import JobSpec
from batchfree.journal import lock
from batchfree.run.signals import stop_on_signals
from batchfree.run.switch import Switch
from batchfree.service.connection import Transport, connect, find_api_key, missing_key
from batchfree.service.quota.account import state_dir

JOB = "serve"
"""The name under which the ledger counts the requests of all clients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Options of one session. `max_wait` in seconds; `key` is the key that clients must send, None without a key."""

    host: str = "127.0.0.1"
    port: int = 8766
    max_wait: float = 65.0
    key: str | None = None


async def serve_clients(
    spec: JobSpec,
    environment: Mapping[str, str],
    options: ServeOptions,
    clock: Callable[[], float],
    say: Callable[[str], None],
) -> Stopped:
    """Serves until a signal, and returns why it ended. `clock` gives epoch seconds; `say` prints for a person.

    Raises OSError if the port can't be used, and BatchfreeError.
    """
    with listen(options.host, options.port) as listener:
        async with open_gateway(spec, environment, options.max_wait, clock, say) as gateway:
            if isinstance(gateway, Stopped):
                return gateway
            server = make_gateway_server(guarded_app(gateway, options, say))
            url = url_of(listener)
            say(f"serving free models at {url}/api/v1")
            say(f"the page about them is {url}/")
            return await _until_signal(gateway, server, listener)


@asynccontextmanager
async def open_gateway(
    spec: JobSpec,
    environment: Mapping[str, str],
    max_wait: float,
    clock: Callable[[], float],
    say: Callable[[str], None],
    transport: Transport = None,
) -> AsyncIterator[Gateway | Stopped]:
    """The gateway on an open connection, or why there is none. `transport` is None for the network.

    Raises BatchfreeError. A cancellation closes the connection.
    """
    spec = spec.model_copy(update={"name": JOB})
    if spec.endpoint.is_openrouter and find_api_key(spec.endpoint, environment) is None:
        yield Stopped(reason=StopReason.KEY_MISSING, message=missing_key(spec.endpoint, environment))
        return
    folder = gateway_folder(spec, environment)
    with lock.hold_alone(folder / "lock") as holder:
        if holder is not None:
            yield Stopped(reason=StopReason.LOCKED, message=f"another `serve` for this endpoint is running: {holder}")
            return
        at_once = spec.limits.concurrency
        connecting = connect(spec.endpoint, environment, clock, at_once, transport, say, tells_begin=True)
        async with connecting as connection:
            routed = await with_route(spec, connection, say)
            if isinstance(routed, Stopped):
                yield routed
                return
            endpoint = Endpoint(spec=routed, connection=connection)
            yield await endpoint.check_key() or Gateway(endpoint, folder, max_wait, environment, transport)


def guarded_app(gateway: Gateway, options: ServeOptions, say: Callable[[str], None]) -> ASGIApp:
    """The application as clients reach it."""

    def report(error: Exception) -> None:
        say("".join(traceback.format_exception(error)))

    return FrontDoor(gateway_app(gateway), AccessRules(host=options.host, key=options.key), report)


async def _until_signal(gateway: Gateway, server: QuietGatewayServer, listener: socket.socket) -> Stopped:
    switch = Switch()

    async def serve() -> None:
        await server.serve(sockets=[listener])

    async with stop_on_signals(switch), anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        tasks.start_soon(gateway.runner.run)
        await switch.event.wait()
        gateway.stop()
        server.should_exit = True
    assert switch.stopped is not None
    return switch.stopped


def gateway_folder(spec: JobSpec, environment: Mapping[str, str]) -> Path:
    """The folder of the log and the batches of one endpoint, made if it is missing. Raises StorageError."""
    place = spec.endpoint.account or re.sub(r"^https?://", "", spec.endpoint.base_url)
    folder = state_dir(environment) / "serve" / (re.sub(r"[^A-Za-z0-9.]+", "-", place).strip("-.") or "endpoint")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(f"{folder}: the folder of `serve` can't be created", error) from error
    return folder
