"""Requests to a plain `http://` endpoint of the user's own travel by wreq, where the extra `fast` is installed.

wreq sends and reads in a thread of its own, in Rust. Per request it costs half the CPU of aiohttp. It does not tell
when a request begins to be written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import wreq
from wreq.dns import DnsOptions
from wreq.exceptions import BodyError, ConnectionResetError, DecodingError, RequestError
from wreq.exceptions import ConnectionError as NoConnectionError
from wreq.exceptions import TimeoutError as TooLateError
from wreq.http1 import Http1Options
from wreq.redirect import Policy
from wreq.runtime import Runtime

from batchfree.service.openrouter.body import LONGEST_BODY, BodyReader
from batchfree.service.openrouter.broken_http import UNREACHABLE, describe
from batchfree.service.openrouter.carrier import (
    CONNECT_TIMEOUT_S,
    NO_CONNECTION_YET,
    REFUSED,
    RESET,
    CarrierError,
    Method,
    RawResponse,
    merge_headers,
)

ERRORS = (RequestError, BodyError, DecodingError, ConnectionResetError)
"""What wreq raises if there is no whole response although there was a connection."""
IDLE_S = 15.0
"""Seconds until an idle connection is closed, as with aiohttp. The answer to a cancelled request may leave one."""
LONGEST_HEAD = 1 << 16
"""Bytes of the status line and the headers of a response that are read."""
NO_CONNECTION = (
    (re.compile("ConnectionRefused"), REFUSED),
    (re.compile(r'failed to lookup address information: ([^"]*)'), r"host unknown (\1)"),
    (re.compile("TimedOut"), NO_CONNECTION_YET),
    (re.compile("Unreachable"), UNREACHABLE),
)
"""Patterns in the text of wreq's ConnectionError, and why there is no connection."""
LATE = "source: TimedOut"
"""Stands in the text of an error if the timeout of the whole call ended while the body was read."""


class WreqCarrier:
    """One client of wreq with one thread. Its connections stay open for further requests."""

    def __init__(self, base_url: str, headers: Mapping[str, str], connections: int) -> None:
        """Keeps up to this number of idle connections. `base_url` begins with `http://`."""
        self._base_url = base_url
        self._client: wreq.Client | None = wreq.Client(
            runtime=Runtime(workers=1, work_steal=False),
            headers={**headers, "Content-Type": "application/json"},
            redirect=Policy.none(),
            no_proxy=True,
            http1_only=True,
            http1_options=Http1Options(max_buf_size=LONGEST_HEAD),
            connect_timeout=timedelta(seconds=CONNECT_TIMEOUT_S),
            pool_max_idle_per_host=connections,
            pool_idle_timeout=timedelta(seconds=IDLE_S),
            dns_options=DnsOptions(system_dns=True),
            gzip=False,  # BodyReader decompresses in bounded steps
            deflate=False,
            brotli=False,
            zstd=False,
        )

    async def send(
        self, method: Method, path: str, content: bytes | None, seconds: float, begun: Callable[[], None] | None = None
    ) -> RawResponse:
        """Sends a request and reads the whole response, as described at `Carrier.send`, but takes no `begun`."""
        assert self._client is not None, "the carrier is closed"
        assert begun is None, "wreq does not tell when a request begins"
        options: dict[str, Any] = {"timeout": _duration(seconds)}
        if content is not None:
            options["body"] = content
        try:
            call = self._client.get if method == "GET" else self._client.post
            response = await call(self._base_url + path, **options)
            fields = ((str(name, "ascii"), str(value, "utf-8", "replace")) for name, value in response.headers)
            headers = merge_headers(fields)
            return RawResponse(status=response.status.as_int(), headers=headers, body=await _body(response, headers))
        except TooLateError:
            raise TimeoutError from None
        except NoConnectionError as error:
            raise CarrierError(no_connection(str(error)), unsent=True) from None
        except ERRORS as error:
            if LATE in str(error):
                raise TimeoutError from None
            raise CarrierError(_fault(error), unsent=False) from None

    async def aclose(self) -> None:
        """Closes all connections. wreq closes idle ones when nothing refers to the client any more."""
        self._client = None


async def _body(response: wreq.Response, headers: Mapping[str, str]) -> bytes:
    """The whole body, decompressed. A body of unknown length is read in pieces, because it may never end.

    Raises UnreadableBodyError.
    """
    reader, length = BodyReader(headers), response.content_length
    if length is not None and length <= LONGEST_BODY:
        reader.feed(await response.bytes())
        return reader.end()
    async with response.stream() as pieces:
        async for piece in pieces:
            if isinstance(piece, memoryview):  # trailers come as a HeaderMap
                reader.feed(piece)
    return reader.end()


@lru_cache(maxsize=8)
def _duration(seconds: float) -> timedelta:
    """The timeout as wreq takes it. Cached, because a job has one timeout."""
    return timedelta(seconds=seconds)


def no_connection(text: str) -> str:
    """Why there is no connection, in words, from the text of wreq's ConnectionError."""
    for pattern, why in NO_CONNECTION:
        if (found := pattern.search(text)) is not None:
            return found.expand(why)
    return text


def _fault(error: Exception) -> str:
    """What is wrong with the response, in words, and the part of wreq's text that says so.

    In wreq's texts the error of netty, its library for HTTP, stands between the request and the connection.
    """
    if isinstance(error, ConnectionResetError):
        return RESET
    inner = str(error).partition("netty::Error(")[2].partition(", connect_info:")[0].rstrip(")} ")
    return describe(error, inner or None)
