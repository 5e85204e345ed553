"""Carriers take requests to a service. This is their interface and what they share. They follow no redirects."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, Protocol

import msgspec

CONNECT_TIMEOUT_S = 15.0
"""Timeout in seconds of making a connection."""
NO_CONNECTION_YET = f"no connection within {CONNECT_TIMEOUT_S:g} s"
REFUSED, RESET = "connection refused", "the connection was reset"

Method = Literal["GET", "POST"]


class RawResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A whole response. The names of the headers are in lower case; `body` is decompressed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class CarrierError(Exception):
    """There was no whole response. `unsent`: there was no connection, so the service has not seen the request.

    The text says why. It may hold the API key.
    """

    def __init__(self, why: str, *, unsent: bool) -> None:
        super().__init__(why)
        self.unsent = unsent


class Carrier(Protocol):
    """Takes requests to one service."""

    async def send(
        self, method: Method, path: str, content: bytes | None, seconds: float, begun: Callable[[], None] | None = None
    ) -> RawResponse:
        """Sends a request and reads the whole response. `path` is appended to the base URL; `content` is JSON.

        `begun` is called when the content begins to be written. Until then the service has seen no request. A carrier
        that was not opened with `tells_begin` takes none.

        Raises TimeoutError if the call takes longer than `seconds`, CarrierError, and UnreadableBodyError for a body
        that is too long or wrongly compressed. A cancellation closes the connection.
        """

    async def aclose(self) -> None:
        """Closes all connections."""


def merge_headers(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers by name. Several values of one name become a list (RFC 9110, section 5.3)."""
    merged: dict[str, str] = {}
    for name, value in fields:
        merged[name] = f"{merged[name]}, {value}" if name in merged else value
    return merged


TRUSTED = "if the server's certificate is your own, name its file in SSL_CERT_FILE"


def known_cause(error: BaseException) -> str | None:
    """Why there is no connection, or no longer, in words; None if none of the errors behind `error` tells."""
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, ConnectionRefusedError):
            return REFUSED
        if isinstance(each, ConnectionResetError):
            return RESET
        if isinstance(each, socket.gaierror):
            return f"host unknown ({each.strerror})"
        if isinstance(each, ssl.SSLCertVerificationError) and hasattr(each, "verify_message"):
            return f"no secure connection: {each.verify_message}; {TRUSTED}"
        if isinstance(each, ssl.SSLError) and hasattr(each, "reason"):  # those of aiohttp have none, but a cause
            return f"no secure connection ({each.reason})"
        each = each.__cause__ or each.__context__
    return None
