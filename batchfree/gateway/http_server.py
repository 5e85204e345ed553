"""uvicorn on a socket of our own, with time limits for slow clients, and without signal handlers and logs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_S = 15.0
"""Seconds in which the headers of a request must arrive, from its first byte or from the start of the connection."""
MOST_CONNECTIONS = 1_000
"""Most open connections. Further ones get a 503."""
GRACE_S = 30
"""Seconds that calls in flight may go on when the server stops."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes a connection if its headers do not arrive. uvicorn alone would wait without a limit."""

    seconds = HEADERS_S
    patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self.patience is None:
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self.patience = self.loop.call_later(self.seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None


class QuietGatewayServer(uvicorn.Server):
    """A server that leaves signals to others."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures no signals. uvicorn calls this method while it serves."""
        yield


def make_gateway_server(app: ASGIApp, headers_s: float = HEADERS_S) -> QuietGatewayServer:
    """A server for the app, to be started with `serve(sockets=[…])`; `should_exit` ends it.

    A client has `headers_s` seconds to send the headers of a request.
    """

    class Protocol(PatientProtocol):
        seconds = headers_s

    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_S,
    )
    return QuietGatewayServer(config)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises OSError if the address can't be used."""
    (family, *_, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(MOST_CONNECTIONS)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """The base URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
