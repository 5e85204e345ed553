"""Sends to OpenRouter, or to whatever speaks like it; one deadline over each whole call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import httpx

from batchfree.core.chat import Failure, JsonObject, Judged, Kind
from batchfree.core.errors import BatchfreeError
from batchfree.core.urls import normalize_base_url
from batchfree.service.openrouter import wire
from batchfree.service.openrouter.masking import sentence

LONGEST_BODY = 16 * 1024 * 1024
"""Bytes of a response, decompressed; no answer is longer."""
ASIDE_TIMEOUT_S = 20.0
"""The deadline of calls that are no requests: the catalogue, the state of the key."""
SPARE_CONNECTIONS = 4
HEADERS = {"X-OpenRouter-Title": "batchfree", "X-OpenRouter-Metadata": "enabled", "Accept": "application/json"}
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SECRET_FROM = 12
"""Characters of a key from which it is a secret; servers of one's own are given words such as EMPTY."""
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Response:
    status: int
    headers: httpx.Headers
    body: bytes


class Client:
    """One connection pool to one base URL. The key stands in the request header and nowhere else."""

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        connections: int = 8,
    ) -> None:
        """A client for `connections` requests at a time; `BatchfreeError` where the key can't be one."""
        self.base_url = normalize_base_url(base_url)
        self._key = key.strip() if key else None
        if self._key and not (self._key.isascii() and self._key.isprintable()):
            raise BatchfreeError("the API key holds characters that no key has")
        most = connections + SPARE_CONNECTIONS
        self._http = httpx.AsyncClient(
            transport=transport,
            headers=HEADERS | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            timeout=None,  # httpx times each read, and blanks are sent while a model works: the whole call is timed
            follow_redirects=False,
            trust_env=urlsplit(self.base_url).hostname not in LOOPBACK,
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
        )

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"

    async def complete(self, body: JsonObject, timeout: float) -> Judged:
        """What came of one POST, at the latest after `timeout` seconds. A cancellation closes the connection; whether
        the service counted the request is then not known."""
        response = await self._send("POST", "/chat/completions", _encoded(body), timeout)
        return response if isinstance(response, Failure) else self._judged(response)

    async def key(self) -> wire.KeyState | Failure:
        """The state of the key; the call uses no quota. A cancellation leaves nothing behind."""
        response = await self._send("GET", "/key", None, ASIDE_TIMEOUT_S)
        if isinstance(response, Failure):
            return response
        return wire.read_key(response.status, response.headers, response.body)

    async def models(self) -> bytes | Failure:
        """The catalogue as it was sent; the call uses no quota. A cancellation leaves nothing behind."""
        response = await self._send("GET", "/models", None, ASIDE_TIMEOUT_S)
        if isinstance(response, Failure) or response.status == httpx.codes.OK:
            return response if isinstance(response, Failure) else response.body
        judged = self._judged(response)
        wrong = Failure(kind=Kind.BAD_RESPONSE, message=f"the catalogue came with status {response.status}")
        return judged if isinstance(judged, Failure) else wrong

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    def _judged(self, response: _Response) -> Judged:
        return wire.judge(response.status, response.headers, response.body)

    async def _send(self, method: str, path: str, content: bytes | None, timeout: float) -> _Response | Failure:
        """One call, read to its end. Exceptions of httpx hold the request with its key, so none leaves this place."""
        headers = {"Content-Type": "application/json"} if content is not None else {}
        try:
            with anyio.fail_after(timeout):
                return await self._read(method, path, content, headers)
        except TimeoutError:
            return Failure(kind=Kind.TIMEOUT, message=f"no complete response within {timeout:g} s")
        except httpx.DecodingError:
            return Failure(kind=Kind.BAD_RESPONSE, message="the response is not compressed as it says")
        except httpx.RequestError as error:
            return Failure(kind=Kind.CONNECTION, message=self._trouble(error))

    async def _read(
        self, method: str, path: str, content: bytes | None, headers: dict[str, str]
    ) -> _Response | Failure:
        body = bytearray()
        async with self._http.stream(method, self.base_url + path, content=content, headers=headers) as response:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > LONGEST_BODY:
                    message = f"the response is longer than {LONGEST_BODY // 1024 // 1024} MB"
                    return Failure(kind=Kind.BAD_RESPONSE, message=message, status=response.status_code)
            return _Response(status=response.status_code, headers=response.headers, body=self._keyless(bytes(body)))

    def _keyless(self, body: bytes) -> bytes:
        """The body without the key, which a server may quote."""
        if self._key is None or len(self._key) < SECRET_FROM:
            return body
        return body.replace(self._key.encode(), "…".encode())

    def _trouble(self, error: httpx.RequestError) -> str:
        host = urlsplit(self.base_url).hostname
        told = f"{host}: {type(error).__name__}: {error}"
        return sentence(told.replace(self._key, "…") if self._key else told)


def _encoded(body: JsonObject) -> bytes:
    """The body as JSON in UTF-8; a lone surrogate, which UTF-8 has no bytes for, becomes a question mark."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
