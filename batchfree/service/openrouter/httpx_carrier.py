"""Requests travel by httpx, or by another transport behind its interface, such as the emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

import anyio
import httpx

from batchfree.service.openrouter.body import BodyReader
from batchfree.service.openrouter.broken_http import describe
from batchfree.service.openrouter.carrier import (
    CONNECT_TIMEOUT_S,
    NO_CONNECTION_YET,
    CarrierError,
    Method,
    RawResponse,
    known_cause,
)


class HttpxCarrier:
    """Speaks to an httpx transport directly: a batch needs no cookies, and follows no redirects."""

    def __init__(self, base_url: str, headers: Mapping[str, str], transport: httpx.AsyncBaseTransport) -> None:
        self._base_url, self._headers, self._transport = base_url, dict(headers), transport

    async def send(
        self, method: Method, path: str, content: bytes | None, seconds: float, begun: Callable[[], None] | None = None
    ) -> RawResponse:
        """Sends a request and reads the whole response, as described at `Carrier.send`."""
        headers = self._headers if content is None else self._headers | {"Content-Type": "application/json"}
        request = httpx.Request(method, self._base_url + path, headers=headers, content=content)
        if content is not None and begun is not None:
            request.stream = _ToldStream(content, begun)
        request.extensions["timeout"] = {"connect": CONNECT_TIMEOUT_S}
        try:
            with anyio.fail_after(seconds):
                response = await self._transport.handle_async_request(request)
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
        except httpx.RequestError as error:
            unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise CarrierError(_cause(error), unsent=unsent) from None
        return RawResponse(status=response.status_code, headers=dict(response.headers.items()), body=body)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._transport.aclose()


class _ToldStream(httpx.AsyncByteStream):
    """Content that says when it begins to be written."""

    def __init__(self, content: bytes, begun: Callable[[], None]) -> None:
        self._content, self._begun = content, begun

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._begun()
        yield self._content


async def _read(response: httpx.Response) -> bytes:
    """The whole body, read as it came: httpx would decompress a whole chunk at a time."""
    reader = BodyReader(response.headers)
    assert isinstance(response.stream, httpx.AsyncByteStream)
    async for chunk in response.stream:
        reader.feed(chunk)
    return reader.end()


def _cause(error: httpx.RequestError) -> str:
    if (cause := known_cause(error)) is not None:
        return cause
    if isinstance(error, httpx.ConnectTimeout):
        return NO_CONNECTION_YET
    return describe(error)


class NetworkTransport(httpx.AsyncBaseTransport):
    """httpx over the network, with proxies and certificates from the environment."""

    def __init__(self, connections: int, *, trust_env: bool) -> None:
        self._client = httpx.AsyncClient(
            timeout=None,  # httpx times each read; `HttpxCarrier.send` times the whole call
            follow_redirects=False,
            trust_env=trust_env,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request. Raises httpx.TransportError; a cancellation closes the connection."""
        return await self._client.send(request, stream=True)

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._client.aclose()
