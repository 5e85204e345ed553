"""The emulated OpenRouter on a real socket, on the loopback interface only."""

from __future__ import annotations

import asyncio
import sys
from asyncio import Transport
from collections.abc import Callable
from typing import Any, TextIO

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from batchfree.emulator.http.stream import ConnectionCutError

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class CuttableProtocol(H11Protocol):
    """HTTP/1.1 that aborts the connection when the application cuts it; uvicorn alone would answer with a 500."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        inner: ASGIApp = self.app

        async def cuttable(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await inner(scope, receive, send)
            except ConnectionCutError:
                transport.abort()

        self.app = cuttable


class QuietServer(uvicorn.Server):
    """A server that reports its base URL to `told` once it listens, and logs nothing."""

    def __init__(self, config: uvicorn.Config, told: Callable[[str], None]) -> None:
        super().__init__(config)
        self.told = told

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        for server in getattr(self, "servers", ()):
            for socket in server.sockets:
                host, port = socket.getsockname()[:2]
                self.told(f"http://{f'[{host}]' if ':' in host else host}:{port}/api/v1")
                return


def make_server(
    app: ASGIApp, host: str = "127.0.0.1", port: int = 0, told: Callable[[str], None] = lambda url: None
) -> QuietServer:
    """A server, to be started by its `run()` or `serve()`; it calls `told` with its base URL.

    Raises ValueError for a host that is not on loopback.
    """
    if host not in LOOPBACK:
        raise ValueError(f"the emulation is served on loopback only, not on {host}")
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=CuttableProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    return QuietServer(config, told)


def serve(app: ASGIApp, host: str = "127.0.0.1", port: int = 8000, *, stream: TextIO | None = None) -> None:
    """Serves until SIGINT or SIGTERM, and prints the base URL on `stream` (default: stderr). Port 0 is any free port.

    Raises OSError if the port is taken.
    """
    out = stream or sys.stderr

    def told(url: str) -> None:
        print(f"emulated OpenRouter at {url}", file=out, flush=True)

    server = make_server(app, host, port, told)
    _check_port(host, port)
    try:
        asyncio.run(server.serve())
    except KeyboardInterrupt:
        return


def _check_port(host: str, port: int) -> None:
    """Raises OSError if the port can't be bound; uvicorn itself would end the process."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
