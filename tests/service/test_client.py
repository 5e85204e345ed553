"""The client against transports of its own that behave badly: blanks, drips, floods, redirects, cut connections.

Long because each bad manner is shown by a small service of its own.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from batchfree.core.chat import Completion, Failure, Judged, Kind
from batchfree.core.errors import BatchfreeError
from batchfree.core.urls import normalize_base_url
from batchfree.service.openrouter.body import LONGEST_BODY
from batchfree.service.openrouter.client import Client
from batchfree.service.openrouter.wire import KeyState

KEY = "sk-or-v1-" + "f00d" * 16
REPLY = json.dumps({"id": "gen-1", "model": "a/b:free", "choices": [{"message": {"content": "Hi"}}]}).encode()
BODY = {"model": "a/b:free", "messages": [{"role": "user", "content": "Hi \ud83d"}]}

Bytes = Callable[[], AsyncIterator[bytes]]


class Stream(httpx.AsyncByteStream):
    """A body that records whether it was closed."""

    def __init__(self, chunks: Bytes) -> None:
        self.chunks, self.closed = chunks, False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self.chunks():
            yield chunk

    async def aclose(self) -> None:
        self.closed = True


class Service(httpx.AsyncBaseTransport):
    """Answers every request with the same response and records the requests."""

    def __init__(self, chunks: Bytes | bytes = REPLY, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.status, self.headers, self.requests = status, headers or {}, list[httpx.Request]()
        self.stream = Stream(once(chunks) if isinstance(chunks, bytes) else chunks)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        return httpx.Response(self.status, headers=self.headers, stream=self.stream)


class Broken(httpx.AsyncBaseTransport):
    """Raises instead of answering."""

    def __init__(self, error: Callable[[httpx.Request], Exception]) -> None:
        self.error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise self.error(request)


def once(body: bytes) -> Bytes:
    async def chunks() -> AsyncIterator[bytes]:
        yield body

    return chunks


def endless(chunk: bytes) -> Bytes:
    """One chunk every ten milliseconds, without end."""

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield chunk
            await anyio.sleep(0.01)

    return chunks


def ask(transport: httpx.AsyncBaseTransport, *, timeout: float = 60, key: str | None = KEY) -> Judged:
    async def main() -> Judged:
        client = Client("https://openrouter.ai/api/v1/", key, transport)
        try:
            return await client.complete(BODY, timeout)
        finally:
            await client.aclose()

    return asyncio.run(main())


def failure(transport: httpx.AsyncBaseTransport, **changes: Any) -> Failure:
    judged = ask(transport, **changes)
    assert isinstance(judged, Failure), judged
    return judged


def test_a_post_has_the_key_in_its_header() -> None:
    service = Service()
    completion = ask(service)
    assert isinstance(completion, Completion)
    assert completion.content == "Hi"
    (sent,) = service.requests
    assert (sent.method, str(sent.url)) == ("POST", "https://openrouter.ai/api/v1/chat/completions")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["x-openrouter-title"] == "batchfree"
    assert sent.headers["x-openrouter-metadata"] == "enabled"
    assert json.loads(sent.content) == {"model": "a/b:free", "messages": [{"role": "user", "content": "Hi ?"}]}


def test_without_a_key_there_is_no_authorization_header() -> None:
    service = Service()
    ask(service, key=None)
    assert "authorization" not in service.requests[0].headers


@pytest.mark.parametrize("chunk", [b"\n", b" ", b": OPENROUTER PROCESSING\n\n", b""], ids=repr)
def test_blanks_and_slow_chunks_do_not_extend_the_timeout(chunk: bytes) -> None:
    service, began = Service(endless(chunk)), time.monotonic()
    assert failure(service, timeout=0.1).kind is Kind.TIMEOUT
    assert time.monotonic() - began < 30
    assert service.stream.closed


def test_a_reply_after_blanks_is_read() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"\n \n"
        for byte in REPLY:
            yield bytes([byte])

    assert isinstance(ask(Service(chunks)), Completion)


def test_a_body_without_end_is_refused_at_a_limit() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1_000_000

    service = Service(chunks)
    told = failure(service)
    assert told.kind is Kind.BAD_RESPONSE
    assert f"{LONGEST_BODY >> 20} MB" in told.message
    assert service.stream.closed


def test_a_small_body_that_decompresses_into_a_large_one_is_refused() -> None:
    packed = gzip.compress(bytes(LONGEST_BODY + 1))
    assert failure(Service(packed, headers={"content-encoding": "gzip"})).kind is Kind.BAD_RESPONSE


@pytest.mark.parametrize("coding", ["gzip, gzip, gzip", "br", "zstd"])
def test_a_body_in_a_coding_that_was_not_asked_for_is_refused(coding: str) -> None:
    service = Service(gzip.compress(gzip.compress(gzip.compress(REPLY))), headers={"content-encoding": coding})
    told = failure(service)
    assert told.kind is Kind.BAD_RESPONSE
    assert "compressed" in told.message
    assert service.requests[0].headers["accept-encoding"] == "gzip, deflate"


def test_a_body_that_can_not_be_decompressed_is_a_bad_response() -> None:
    assert failure(Service(b"no gzip", headers={"content-encoding": "gzip"})).kind is Kind.BAD_RESPONSE


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(status: int) -> None:
    service = Service(b"", status, {"location": "https://evil.example/"})
    told = failure(service)
    assert told.kind is Kind.BAD_RESPONSE
    assert "evil.example" in told.message
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    "error",
    [
        *(httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.LocalProtocolError),
        *(httpx.ProxyError, httpx.UnsupportedProtocol),
    ],
)
def test_a_connection_error_is_a_failure_without_the_key(error: type[httpx.RequestError]) -> None:
    told = failure(Broken(lambda request: error(f"Illegal header value b'Bearer {KEY}'", request=request)))
    assert told.kind is Kind.CONNECTION
    assert "f00d" not in repr(told)
    assert "openrouter.ai" in told.message


def test_a_connection_cut_in_the_middle_of_a_body_is_a_connection_failure() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield REPLY[:20]
        raise httpx.ReadError("cut")

    assert failure(Service(chunks)).kind is Kind.CONNECTION


def test_a_cancellation_closes_the_response() -> None:
    service = Service(endless(b" "))

    async def main() -> None:
        client = Client("https://openrouter.ai/api/v1", KEY, service)
        with anyio.move_on_after(0.05):
            await client.complete(BODY, 60)
        await client.aclose()

    asyncio.run(main())
    assert service.stream.closed


def test_a_bug_is_not_reported_as_a_connection_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        ask(Broken(lambda _: ZeroDivisionError("ours")))


def test_the_key_is_in_no_repr() -> None:
    client = Client("https://openrouter.ai/api/v1", KEY)
    assert "f00d" not in repr(client)
    asyncio.run(client.aclose())


def test_an_impossible_key_is_refused_without_showing_it() -> None:
    for key in (f"{KEY}\nX-Evil: 1", f"{KEY}é"):
        with pytest.raises(BatchfreeError) as told:
            Client("https://openrouter.ai/api/v1", key)
        assert "f00d" not in str(told.value)
    service = Service()
    ask(service, key=f" {KEY}\n")
    assert service.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_that_a_server_quotes_is_masked() -> None:
    key = "a-token-of-my-own"
    body = json.dumps({"error": {"message": f"unknown token {key}", "code": 400}}).encode()
    assert failure(Service(body, 400), key=key).message == "unknown token …"
    reply = json.dumps({"choices": [{"message": {"content": "EMPTY is no secret"}}]}).encode()
    completion = ask(Service(reply), key="EMPTY")
    assert isinstance(completion, Completion)
    assert completion.content == "EMPTY is no secret"


# Over a real socket


@asynccontextmanager
async def server(answer: Callable[[asyncio.StreamWriter], Any], gone: asyncio.Event) -> AsyncIterator[str]:
    """A service on loopback with hand-written responses; `gone` is set once a caller closes the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        watch = asyncio.ensure_future(hung_up(reader))
        try:
            await answer(writer)
            await watch
        except ConnectionError:
            pass
        finally:
            gone.set()
            watch.cancel()
            writer.close()

    async def hung_up(reader: asyncio.StreamReader) -> None:
        while await reader.read(1024):
            pass
        gone.set()

    running = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}/api/v1"
    finally:
        running.close()


def over_a_socket(answer: Callable[[asyncio.StreamWriter], Any], timeout: float = 60, patience: float = 60) -> Any:
    """The result of a request, and whether the service saw the caller close the connection."""

    async def main() -> tuple[Judged | None, bool]:
        gone, judged = asyncio.Event(), None
        async with server(answer, gone) as url:
            client = Client(url, KEY)
            with anyio.move_on_after(patience):
                judged = await client.complete(BODY, timeout)
            if judged is None or isinstance(judged, Failure):
                await asyncio.wait_for(gone.wait(), 60)
            await client.aclose()
            return judged, gone.is_set()

    return asyncio.run(main())


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while not writer.is_closing():
        writer.write(b"1\r\n\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def cut(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"5\r\n{'a':\r\n")
    await writer.drain()
    writer.close()


async def whole(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b"3\r\n\n\n\n\r\n" + f"{len(REPLY):x}\r\n".encode() + REPLY + b"\r\n0\r\n\r\n")
    await writer.drain()


def test_a_reply_over_a_socket_is_read() -> None:
    judged, _ = over_a_socket(whole)
    assert isinstance(judged, Completion)


def test_the_timeout_closes_a_slow_connection() -> None:
    judged, hung_up = over_a_socket(drip, timeout=0.1)
    assert judged.kind is Kind.TIMEOUT
    assert hung_up


def test_a_cancellation_closes_the_connection() -> None:
    judged, hung_up = over_a_socket(drip, timeout=60, patience=0.1)
    assert judged is None
    assert hung_up


def test_a_cut_connection_is_a_connection_failure() -> None:
    judged, _ = over_a_socket(cut)
    assert judged.kind is Kind.CONNECTION


def test_a_refused_connection_is_a_connection_failure() -> None:
    async def main() -> Judged:
        client = Client("http://127.0.0.1:1/api/v1", KEY)
        try:
            return await client.complete(BODY, 60)
        finally:
            await client.aclose()

    assert asyncio.run(main()).kind is Kind.CONNECTION


# The state of the key, and the catalogue


def call(name: str, transport: httpx.AsyncBaseTransport) -> Any:
    async def main() -> Any:
        client = Client("https://openrouter.ai/api/v1", KEY, transport)
        try:
            return await getattr(client, name)()
        finally:
            await client.aclose()

    return asyncio.run(main())


def key_body(**data: Any) -> bytes:
    return json.dumps({"data": {"label": "sk-or-v1-abc...123", **data}}).encode()


@pytest.mark.parametrize(
    ("body", "state"),
    [
        (key_body(free_model_daily_requests={"limit": 50, "used": 2}), KeyState(day_limit=50, day_used=2)),
        (key_body(free_model_daily_requests={"limit": "1000", "used": 1060}), KeyState(day_limit=1000, day_used=1060)),
        (key_body(free_model_daily_requests=[]), KeyState()),
        (b"\n\n" + key_body(), KeyState()),
    ],
)
def test_the_known_parts_of_the_state_of_the_key_are_read(body: bytes, state: KeyState) -> None:
    service = Service(body)
    assert call("key", service) == state
    assert str(service.requests[0].url) == "https://openrouter.ai/api/v1/key"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b'{"error":{"code":401,"message":"User not found."}}', Kind.KEY_REFUSED),
        (200, b'{"error":{"code":401,"message":"User not found."}}', Kind.KEY_REFUSED),
        (200, b"[]", Kind.BAD_RESPONSE),
        (200, b'{"data":null}', Kind.BAD_RESPONSE),
        (404, b"<html>no such page</html>", Kind.BAD_RESPONSE),
        (302, b"", Kind.BAD_RESPONSE),
    ],
)
def test_a_missing_state_of_the_key_is_a_failure(status: int, body: bytes, kind: Kind) -> None:
    assert call("key", Service(body, status)).kind is kind


def test_a_catalogue_that_quotes_the_key_comes_without_it() -> None:
    escaped = "".join(f"\\u{ord(each):04x}" for each in KEY)
    for quoted in (KEY, escaped):
        text = call("models", Service(b'{"data": [{"id": "a/b:free", "name": "' + quoted.encode() + b'"}]}'))
        assert json.loads(text) == {"data": [{"id": "a/b:free", "name": "…"}]}


def test_a_catalogue_in_no_charset_is_a_bad_response() -> None:
    assert call("models", Service(b'{"data":[{"id":"\xe9"}]}')).kind is Kind.BAD_RESPONSE


def test_the_catalogue_is_returned_as_the_service_sent_it() -> None:
    assert call("models", Service(b'{"data":[]}')) == '{"data":[]}'
    assert call("models", Service(b"", 503)).kind is Kind.UPSTREAM_ERROR
    assert call("models", Service(REPLY, 201)).kind is Kind.BAD_RESPONSE


@pytest.mark.parametrize(
    ("url", "one_spelling"),
    [
        ("https://OpenRouter.ai/api/v1/", "https://openrouter.ai/api/v1"),
        ("HTTPS://openrouter.ai:443/api/v1?x=1#y", "https://openrouter.ai/api/v1"),
        (" http://localhost:8000/ ", "http://localhost:8000"),
        ("http://[::1]:80/V1", "http://[::1]/V1"),
        ("http://me:secret@Host:8080/v1", "http://host:8080/v1"),
    ],
)
def test_a_base_url_is_normalized(url: str, one_spelling: str) -> None:
    assert normalize_base_url(url) == one_spelling
