"""Sends responses over ASGI."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from starlette.types import Send

from batchfree.core.chat import Json
from batchfree.gateway.http_refusal import HttpRefusal

AT_A_TIME = 32 * 1024
"""Small parts are sent together when they have this many bytes."""


async def send_json(send: Send, value: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
    """Sends a JSON value."""
    body = json.dumps(value).encode()
    named = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    await start(send, status, named)
    await send({"type": "http.response.body", "body": body})


async def send_refusal(send: Send, refusal: HttpRefusal) -> None:
    """Sends a refusal."""
    await send_json(send, refusal.body(), refusal.status, refusal.all_headers())


async def start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Sends status and headers."""
    await send({"type": "http.response.start", "status": status, "headers": encoded(headers)})


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as bytes. Only printable ASCII is kept, since model ids come from outside; the rest becomes `?`."""
    return [(name.lower().encode(), _header_value(value)) for name, value in headers.items()]


def _header_value(value: str) -> bytes:
    return "".join(each if " " <= each <= "~" else "?" for each in value).encode()


async def send_parts(send: Send, parts: Iterable[bytes]) -> None:
    """Sends parts of a body, several at a time. The status must be sent already, and the body stays open."""
    together = bytearray()
    for part in parts:
        together += part
        if len(together) >= AT_A_TIME:
            await send({"type": "http.response.body", "body": bytes(together), "more_body": True})
            together.clear()
    if together:
        await send({"type": "http.response.body", "body": bytes(together), "more_body": True})
