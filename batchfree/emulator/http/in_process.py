"""An httpx transport that streams from an ASGI application in the same process, without a socket.

`httpx.ASGITransport` reads a whole body before it returns the first byte, raises the exceptions of the application, and
never tells the application that the client has left. This transport returns bytes as they come, raises
`httpx.RemoteProtocolError` if the application fails, and cancels the application when the response is closed. It needs
asyncio.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from typing import Any

import anyio
import httpx
from starlette.types import ASGIApp

END = object()


class InProcessTransport(httpx.AsyncBaseTransport):
    """Passes requests straight to `app`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response, as soon as its status is known. A cancellation before that also cancels the application."""
        exchange = AppExchange(request, await _read(request))
        exchange.task = asyncio.ensure_future(exchange.run(self.app))
        try:
            status, headers = await exchange.head
        except BaseException:
            await exchange.stop()
            raise
        return httpx.Response(status, headers=headers, stream=InProcessStream(exchange))


class InProcessStream(httpx.AsyncByteStream):
    """The body of one response, in the chunks that the application sends."""

    def __init__(self, exchange: AppExchange) -> None:
        self.exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self.exchange.chunks.get()) is not END:
            if isinstance(chunk, Exception):
                raise httpx.RemoteProtocolError("the emulated service broke the connection") from chunk
            yield chunk
            await asyncio.sleep(0)  # lets a cancellation through, even if the body never pauses

    async def aclose(self) -> None:
        await self.exchange.stop()


class AppExchange:
    """One request to the application, and its response."""

    def __init__(self, request: httpx.Request, body: bytes) -> None:
        self.request, self.body = request, body
        self.head: asyncio.Future[tuple[int, list[tuple[bytes, bytes]]]] = asyncio.get_running_loop().create_future()
        self.chunks: asyncio.Queue[Any] = asyncio.Queue(maxsize=4)
        self.gone = asyncio.Event()
        self.task: asyncio.Future[None] | None = None
        self._sent = False

    async def run(self, app: ASGIApp) -> None:
        """Runs the application to its end. A cancellation leaves the response unfinished."""
        try:
            await app(self._scope(), self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - the client sees every failure as a broken connection
            await self._fail(error)
        else:
            await self.chunks.put(END)

    async def stop(self) -> None:
        """Tells the application that the client has left, cancels it, and waits until it has ended."""
        self.gone.set()
        if self.task is not None and not self.task.done():
            self.task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self.task])

    async def _fail(self, error: Exception) -> None:
        if not self.head.done():
            self.head.set_exception(httpx.RemoteProtocolError("the emulated service broke the connection"))
        else:
            await self.chunks.put(error)

    def _scope(self) -> MutableMapping[str, Any]:
        url = self.request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.request.method,
            "headers": [(name.lower(), value) for name, value in self.request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.split(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port),
            "client": ("127.0.0.1", 1),
            "root_path": "",
        }

    async def _receive(self) -> MutableMapping[str, Any]:
        if not self._sent:
            self._sent = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.head.set_result((message["status"], list(message["headers"])))
        elif message.get("body"):
            await self.chunks.put(message["body"])


async def _read(request: httpx.Request) -> bytes:
    stream = request.stream
    assert isinstance(stream, httpx.AsyncByteStream)
    return b"".join([part async for part in stream])
