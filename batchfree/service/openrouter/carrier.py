"""The carriers that take requests to a service: httpx for OpenRouter, aiohttp for an endpoint of the user's own.

Both are httpx transports. httpx costs 20 times the CPU of aiohttp per request, which does not matter at 20 requests a
minute; on an endpoint of one's own it is most of what a row costs. Redirects are never followed.
"""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import httpx

from batchfree.core.errors import BatchfreeError

if TYPE_CHECKING:
    import aiohttp


def open_carrier(connections: int, *, fast: bool, trust_env: bool) -> httpx.AsyncBaseTransport:
    """A carrier for this number of connections at a time.

    `trust_env`: proxies and certificates come from the environment. A proxy is always left to httpx. Raises
    BatchfreeError where the environment names a proxy or certificates that can't be used.
    """
    try:
        if fast and not (trust_env and urllib.request.getproxies()):
            return AiohttpCarrier(connections, trust_env=trust_env)
        return HttpxCarrier(connections, trust_env=trust_env)
    except ImportError as error:
        raise BatchfreeError(
            "the environment names a SOCKS proxy (ALL_PROXY, HTTPS_PROXY or HTTP_PROXY); "
            "install what it needs with `pip install 'httpx[socks]'`, or unset the variable"
        ) from error
    except ValueError as error:  # the message of httpx may hold the proxy's password
        raise BatchfreeError(
            "ALL_PROXY, HTTPS_PROXY or HTTP_PROXY names no proxy that can be used; write it as http://host:port"
        ) from error
    except OSError as error:
        raise BatchfreeError(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names can't be used: {error}; "
            "name a file of PEM certificates, or unset the variable"
        ) from error


class HttpxCarrier(httpx.AsyncBaseTransport):
    """httpx with proxies and certificates from the environment."""

    def __init__(self, connections: int, *, trust_env: bool) -> None:
        self._client = httpx.AsyncClient(
            timeout=None,  # httpx times each read; the caller times the whole call
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


class AiohttpCarrier(httpx.AsyncBaseTransport):
    """aiohttp behind httpx's interface."""

    def __init__(self, connections: int, *, trust_env: bool) -> None:
        import httpx_aiohttp

        self._connections, self._context = connections, httpx.create_ssl_context(trust_env=trust_env)
        self._transport = httpx_aiohttp.AiohttpTransport(verify=self._context, client=self._session)

    def _session(self) -> aiohttp.ClientSession:
        import aiohttp

        connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._context)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request. Raises httpx.TransportError; a cancellation closes the connection."""
        import aiohttp

        try:
            return await self._transport.handle_async_request(request)
        except httpx.TimeoutException as error:
            raise _translated(error) from error.__cause__
        except aiohttp.ClientError as error:  # what the transport does not translate: a response that is no HTTP
            raise httpx.RemoteProtocolError(f"{type(error).__name__}: {error}") from error

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._transport.aclose()


def _translated(error: httpx.TimeoutException) -> httpx.TransportError:
    """The error under httpx's name: the transport calls every failed connection of aiohttp a timeout."""
    import aiohttp

    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientConnectorError):
        return httpx.ConnectError(str(cause))
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout(str(cause))
    if isinstance(cause, aiohttp.ServerTimeoutError):
        return error
    return httpx.ReadError(f"{type(cause).__name__}: {cause}")
