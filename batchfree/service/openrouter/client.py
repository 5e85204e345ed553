"""The HTTP client of OpenRouter and compatible servers, with one timeout for each whole call."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from batchfree.core.chat import Failure, JsonObject, Judged, Kind
from batchfree.core.errors import BatchfreeError
from batchfree.core.urls import DEFAULT_PORTS, is_loopback, normalize_base_url
from batchfree.core.version import __version__
from batchfree.service.openrouter import wire
from batchfree.service.openrouter.body import ACCEPTED, UnreadableBodyError, body_text
from batchfree.service.openrouter.carrier import Carrier, CarrierError, Method, RawResponse
from batchfree.service.openrouter.judge import judge
from batchfree.service.openrouter.lenient import as_object, parse_json
from batchfree.service.openrouter.masking import Secret, one_line
from batchfree.service.openrouter.open_carrier import open_carrier

if TYPE_CHECKING:
    import httpx

GET_TIMEOUT_S = 20.0
"""Timeout in seconds of the calls that cost no request: the catalogue and the state of the key."""
SPARE_CONNECTIONS = 4
"""Connections for such calls beside the requests."""
HEADERS = {
    "X-OpenRouter-Title": "batchfree",
    "X-OpenRouter-Metadata": "enabled",
    "User-Agent": f"batchfree/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": ACCEPTED,
}
NO_MEMORY = Failure(kind=Kind.BAD_RESPONSE, message="there is not enough memory to read the response")
CHAT, KEY, MODELS = "/chat/completions", "/key", "/models"
UNHANDLED = "Internal Server Error"
"""The whole body of a server that does not explain its own error."""
VERSION = re.compile(r"/v\d")
"""The version in the path of an API such as OpenAI's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeReply:
    """A judged response, and the JSON object of a completion as the service sent it, without the key."""

    judged: Judged
    payload: JsonObject


_encoder = msgspec.json.Encoder()


class Client:
    """A connection pool for one base URL. The key is only in the request header."""

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        connections: int = 8,
        fast: bool = False,
        tells_begin: bool = False,
        key_variable: str = "",
    ) -> None:
        """A client for `connections` requests at a time. Raises BatchfreeError for an impossible key.

        `fast`: requests are sent by wreq or aiohttp. `tells_begin`: `complete_whole` may be called. A `transport`
        replaces all carriers. `key_variable` is the environment variable of the key, for messages.
        """
        self._key_variable = key_variable
        self.base_url = normalize_base_url(base_url)
        self._key = key.strip() if key else None
        if self._key and not (self._key.isascii() and self._key.isprintable()):
            raise BatchfreeError("the API key contains control or non-ASCII characters; check where it is set")
        self._secret = Secret(self._key)
        trust_env = not is_loopback(self.base_url)
        headers = HEADERS | ({"Authorization": f"Bearer {self._key}"} if self._key else {})
        self._carrier: Carrier
        if transport is not None:
            from batchfree.service.openrouter.httpx_carrier import HttpxCarrier

            self._carrier = HttpxCarrier(self.base_url, headers, transport)
        else:
            many = connections + SPARE_CONNECTIONS
            self._carrier = open_carrier(
                self.base_url, headers, many, fast=fast, trust_env=trust_env, tells_begin=tells_begin
            )

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"

    async def complete(self, body: JsonObject, seconds: float) -> Judged:
        """Sends one POST and judges the response, within `seconds`.

        A cancellation closes the connection; the service may or may not have counted the request.
        """
        response = await self._send("POST", CHAT, _encode(body), seconds)
        return response if isinstance(response, Failure) else self._judge(response)

    async def complete_whole(self, body: JsonObject, seconds: float, begun: Callable[[], None]) -> WholeReply:
        """As `complete`, with the whole reply of the service. `begun` as in `Carrier.send`."""
        response = await self._send("POST", CHAT, _encode(body), seconds, begun)
        judged = response if isinstance(response, Failure) else self._judge(response)
        if isinstance(response, Failure) or isinstance(judged, Failure):
            return WholeReply(judged=judged, payload={})
        text = body_text(response.headers, response.body)
        payload = as_object(parse_json(text))
        if self._secret.may_be_in(text):
            payload = as_object(self._secret.scrub_json(payload))
        return WholeReply(judged=judged, payload=payload)

    async def key(self) -> wire.KeyState | Failure:
        """The state of the key. The call costs no request; a cancellation leaves nothing behind."""
        response = await self._send("GET", KEY, None, GET_TIMEOUT_S)
        if isinstance(response, Failure):
            return response
        state = wire.read_key(response.status, response.headers, response.body, self._secret)
        return self._with_advice(state) if isinstance(state, Failure) else state

    async def models(self) -> str | Failure:
        """The catalogue as JSON text. The call costs no request; a cancellation leaves nothing behind."""
        response = await self._send("GET", MODELS, None, GET_TIMEOUT_S)
        if isinstance(response, Failure):
            return response
        if response.status == 200:
            return self._catalogue_text(response)
        judged = self._judge(response)
        unclear = Failure(kind=Kind.BAD_RESPONSE, message=f"the catalogue came with status {response.status}")
        return judged if isinstance(judged, Failure) else unclear

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._carrier.aclose()

    def _judge(self, response: RawResponse) -> Judged:
        try:
            judged = judge(response.status, response.headers, response.body, self._secret)
        except MemoryError:
            return NO_MEMORY
        return self._with_advice(judged) if isinstance(judged, Failure) else judged

    def _with_advice(self, failure: Failure) -> Failure:
        """The failure with advice, if the endpoint or its key may be the cause: no key, a wrong key, or no `/v1`."""
        advice = ""
        if failure.kind is Kind.KEY_REFUSED and self._key_variable:
            host = urlsplit(self.base_url).netloc
            advice = f"{host} refuses the API key that {self._key_variable} holds: is it whole, and still valid there?"
            if self._key is None:
                advice = f"no API key was sent: set {self._key_variable} in the environment or in --env-file"
        elif failure.status == 500 and failure.message.endswith(UNHANDLED) and not self._key and self._key_variable:
            advice = f"no API key was sent; if the server needs one, set {self._key_variable}"  # LiteLLM without a key
        elif failure.status == 404 and not VERSION.search(urlsplit(self.base_url).path):
            advice = f"the base URL may lack its /v1: try {self.base_url}/v1"
        return replace(failure, message=f"{failure.message}; {advice}") if advice else failure

    def _catalogue_text(self, response: RawResponse) -> str | Failure:
        """The text of a catalogue. It is also kept on disk, so the key is removed if the service quotes it."""
        try:
            text = body_text(response.headers, response.body)
        except UnreadableBodyError as error:
            return Failure(kind=Kind.BAD_RESPONSE, message=str(error), status=response.status)
        if as_object(parse_json(text)).get("error") and isinstance(judged := self._judge(response), Failure):
            return judged
        if self._secret.scrub(text) == text:
            return text
        return json.dumps(self._secret.scrub_json(parse_json(text)))

    async def _send(
        self,
        method: Method,
        path: str,
        content: bytes | None,
        seconds: float,
        begun: Callable[[], None] | None = None,
    ) -> RawResponse | Failure:
        """One call with its whole response. Exceptions of carriers become failures here: they may hold the key."""
        try:
            return await self._carrier.send(method, path, content, seconds, begun)
        except TimeoutError:
            return Failure(kind=Kind.TIMEOUT, message=f"no complete response within {seconds:g} s")
        except UnreadableBodyError as error:
            return Failure(kind=Kind.BAD_RESPONSE, message=one_line(str(error)))
        except MemoryError:
            return NO_MEMORY
        except CarrierError as error:
            return Failure(kind=Kind.CONNECTION, message=self._describe(error), unsent=error.unsent)

    def _describe(self, error: CarrierError) -> str:
        """The host, the port and the cause of a failed connection."""
        parts = urlsplit(self.base_url)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        return one_line(self._secret.scrub(f"{parts.hostname} port {port}: {error}"))


def _encode(body: JsonObject) -> bytes:
    """The body as JSON in UTF-8. Lone surrogates, which UTF-8 can't encode, become question marks."""
    try:
        return _encoder.encode(body)
    except (ValueError, OverflowError):  # msgspec refuses lone surrogates and integers beyond 64 bits
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
