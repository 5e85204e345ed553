"""A gateway over an emulation, in virtual time inside the test, or on a real socket for clients that need one."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
from support.emulated import emulation
from support.virtual_time import VirtualTime

from batchfree.emulator import Emulator
from batchfree.emulator.http.in_process import InProcessTransport
from batchfree.gateway.gateway import Gateway
from batchfree.gateway.http_server import QuietGatewayServer, listen, make_gateway_server, url_of
from batchfree.gateway.serve_session import ServeOptions, guarded_app, open_gateway
from batchfree.jobspec import JobSpec, load_default_spec

URL = "http://127.0.0.1:9/api/v1"
"""The base URL of emulations behind a transport; nothing listens there."""
KEY = "sk-or-v1-" + "0" * 64
CALM = "router: {draws_classifier: false}\n"


def settings(folder: Path) -> dict[str, str]:
    """The environment of a gateway that keeps its state in `folder`."""
    state, cache = str(folder / "state"), str(folder / "cache")
    return {"BATCHFREE_STATE_DIR": state, "BATCHFREE_CACHE_DIR": cache, "OPENROUTER_API_KEY": KEY}


def spec_of(url: str = URL, *, concurrency: int = 64, **sections: dict[str, Any]) -> JobSpec:
    """A spec without rows for an emulation, with keys of some sections replaced. Its draws are seeded."""
    spec = load_default_spec(url)
    sections = {"limits": {}, **sections, "router": {"seed": 7, **sections.get("router", {})}}
    sections["limits"] = {"concurrency": concurrency, **sections["limits"]}
    changed = {name: getattr(spec, name).model_copy(update=keys) for name, keys in sections.items()}
    return spec.model_copy(update=changed)


@dataclass
class Served:
    """A gateway that runs: `http` speaks to it, `app` is the emulation behind it."""

    gateway: Gateway
    http: httpx.AsyncClient
    app: Emulator

    @property
    def posts(self) -> list[Any]:
        """The requests that the emulation got."""
        return list(self.app.state.log.requests)

    def starts(self) -> int:
        """The starts that the ledger counts."""
        endpoint = self.gateway.endpoint
        return endpoint.connection.ledger.usage(endpoint.limits).day_used


@asynccontextmanager
async def gateway_over(
    app: Emulator, folder: Path, *, max_wait: float = 65.0, key: str | None = None, spec: JobSpec | None = None
) -> AsyncIterator[Served]:
    """A gateway in the test's own event loop; its clock is that of the emulation."""
    transport = InProcessTransport(app)
    opening = open_gateway(
        spec or spec_of(), settings(folder), max_wait, app.service.clock, lambda sentence: None, transport
    )
    bugs: list[str] = []
    async with opening as gateway:
        assert isinstance(gateway, Gateway), gateway
        door = guarded_app(gateway, ServeOptions(key=key), bugs.append)
        async with httpx.AsyncClient(transport=InProcessTransport(door), base_url="http://127.0.0.1/api/v1") as http:
            yield Served(gateway, http, app)
    assert bugs == []


def in_virtual_time(act: Callable[[Served], Awaitable[Any]], folder: Path, scenario: str = "", **options: Any) -> Any:
    """Runs `act` on a gateway in virtual time and returns its result."""
    virtual = VirtualTime()
    app = emulation(CALM + scenario if "router:" not in scenario else scenario, time=virtual)

    async def main() -> Any:
        async with gateway_over(app, folder, **options) as served:
            return await act(served)

    return virtual.run(main)


@dataclass
class Running:
    """A gateway in another thread, with its HTTP server."""

    gateway: Gateway
    server: QuietGatewayServer


@contextmanager
def gateway_on_socket(
    service: Emulator | str, folder: Path, *, headers_s: float = 15.0, **options: Any
) -> Iterator[tuple[str, Running]]:
    """A gateway on a real socket in a thread of its own; yields its base URL, without `/api/v1`.

    `service` is an emulation inside this process, or the base URL of one.
    """
    ready, found = threading.Event(), list[Running]()
    transport = None if isinstance(service, str) else InProcessTransport(service)
    spec = spec_of(service if isinstance(service, str) else URL, **options)
    with listen("127.0.0.1", 0) as listener:

        async def main() -> None:
            opening = open_gateway(spec, settings(folder), 65.0, time.time, lambda sentence: None, transport)
            async with opening as gateway:
                assert isinstance(gateway, Gateway), gateway
                server = make_gateway_server(guarded_app(gateway, ServeOptions(), print), headers_s)
                found.append(Running(gateway, server))
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(gateway.runner.run)
                    ready.set()
                    await server.serve(sockets=[listener])
                    gateway.stop()

        thread = threading.Thread(target=anyio.run, args=(main,), daemon=True)
        thread.start()
        assert ready.wait(60)
        try:
            yield url_of(listener), found[0]
        finally:
            found[0].server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def asking_for(text: str = "Hello there, Berlin.", model: str = "openrouter/free", **more: Any) -> Mapping[str, Any]:
    """The body of a chat request."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}
