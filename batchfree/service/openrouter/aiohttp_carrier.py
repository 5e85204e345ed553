"""Requests to an endpoint of the user's own travel by aiohttp, without a proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from batchfree.service.openrouter.body import BodyReader
from batchfree.service.openrouter.broken_http import describe
from batchfree.service.openrouter.carrier import (
    CONNECT_TIMEOUT_S,
    NO_CONNECTION_YET,
    CarrierError,
    Method,
    RawResponse,
    known_cause,
    merge_headers,
)

UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
"""The errors of a request that found no connection."""


class AiohttpCarrier:
    """One aiohttp session; it is opened with the first request, since it belongs to the running event loop."""

    def __init__(self, base_url: str, headers: Mapping[str, str], connections: int) -> None:
        self._base_url, self._headers, self._connections = base_url, headers, connections
        self._ssl = _certificates() if base_url.startswith("https:") else True
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: Method, path: str, content: bytes | None, seconds: float, begun: Callable[[], None] | None = None
    ) -> RawResponse:
        """Sends a request and reads the whole response, as described at `Carrier.send`."""
        session = self._session or self._open()
        data = None if content is None else aiohttp.BytesPayload(content, content_type="application/json")
        if content is not None and begun is not None:
            data = _ToldPayload(content, begun)
        try:
            async with (
                asyncio.timeout(seconds),
                session.request(method, self._base_url + path, data=data, allow_redirects=False) as response,
            ):
                headers = merge_headers((name.lower(), value) for name, value in response.headers.items())
                reader, stream = BodyReader(headers), response.content
                while not stream.at_eof():
                    reader.feed(await stream.readany())
                return RawResponse(status=response.status, headers=headers, body=reader.end())
        except aiohttp.ClientError as error:
            raise CarrierError(_cause(error), unsent=isinstance(error, UNSENT)) from None
        except UnicodeError as error:  # of a host with an empty or a very long label
            raise CarrierError(f"host unknown ({error})", unsent=True) from None

    async def aclose(self) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._ssl),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # BodyReader decompresses in bounded steps
            timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S),  # `send` times the whole call
        )
        return self._session


class _ToldPayload(aiohttp.BytesPayload):
    """Content that calls a function when it begins to be written."""

    def __init__(self, content: bytes, begun: Callable[[], None]) -> None:
        super().__init__(content, content_type="application/json")
        self._begun = begun

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        self._begun()
        await super().write_with_length(writer, content_length)


def _certificates() -> ssl.SSLContext:
    """The certificates that httpx trusts, with those of SSL_CERT_FILE. Raises OSError if these can't be used."""
    import httpx

    return httpx.create_ssl_context()


def _cause(error: aiohttp.ClientError) -> str:
    if (cause := known_cause(error)) is not None:
        return cause
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return NO_CONNECTION_YET
    return describe(error)
