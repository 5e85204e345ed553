"""All carriers over real sockets: what they send, what their errors become, and what a cancellation leaves behind."""

from __future__ import annotations

import asyncio
import gzip
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from support.certificates import key_of, own_certificate

from batchfree.core.chat import Completion, Failure, Judged, Kind
from batchfree.service.openrouter.aiohttp_carrier import AiohttpCarrier
from batchfree.service.openrouter.client import Client
from batchfree.service.openrouter.httpx_carrier import HttpxCarrier
from batchfree.service.openrouter.open_carrier import open_carrier

REPLY = b'{"model": "m", "choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}]}'
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(REPLY) + REPLY
WREQ_CARRIER = "batchfree.service.openrouter.wreq_carrier"
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Héllo"}]}


class LocalServer:
    """Answers every request with the same bytes; none means that it never answers."""

    def __init__(self) -> None:
        self.answer: bytes | None = OK
        self.requests: list[bytes] = []
        self.open = 0
        self.is_padding = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or b"0")
                self.requests.append(head + await reader.readexactly(length))
                while self.is_padding:
                    writer.write(b" " if self.answer is None else OK[: OK.index(b"{")])
                    self.answer = None
                    await writer.drain()
                    await asyncio.sleep(0.01)
                if self.answer is not None:
                    writer.write(self.answer)
                    if self.answer is not OK:
                        break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def served(fast: bool, connections: int = 8) -> AsyncIterator[tuple[LocalServer, Client]]:
    local = LocalServer()
    server = await asyncio.start_server(local.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = Client(f"http://127.0.0.1:{port}/v1", "sk-test", connections=connections, fast=fast)
    try:
        yield local, client
    finally:
        await client.aclose()
        server.close()


def over(fast: bool, main: Callable[[LocalServer, Client], Awaitable[Any]], connections: int = 8) -> Any:
    async def run() -> Any:
        async with served(fast, connections) as (local, client):
            return await main(local, client)

    return anyio.run(run)


@pytest.fixture(params=["httpx", "aiohttp", "wreq"])
def fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """The argument `fast` of a client that uses this carrier."""
    if request.param == "wreq":
        pytest.importorskip("wreq", reason="the extra `fast` is not installed")
    elif request.param == "aiohttp":
        without_wreq(monkeypatch)
    return bool(request.param != "httpx")


def without_wreq(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on wreq can't be imported, as if the extra `fast` were not installed."""
    monkeypatch.setitem(sys.modules, WREQ_CARRIER, None)


def test_a_request_carries_the_key_and_nothing_that_the_job_did_not_ask_for(fast: bool) -> None:
    async def main(local: LocalServer, client: Client) -> list[bytes]:
        assert isinstance(await client.complete(BODY, 9), Completion)
        return local.requests

    (request,) = over(fast, main)
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\n")
    names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert {b"authorization", b"content-type", b"content-length", b"host", b"user-agent"} <= names
    assert b"cookie" not in names
    assert "Héllo".encode() in body


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "the server closed the connection without a response"),
        (HEAD + b"content-length: 900\r\n\r\n" + REPLY, "closed the connection in the middle of the response"),
        (CHUNKED + b"10\r\n{}", "closed the connection in the middle of the response"),
        (CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", "not valid HTTP: its chunks are broken"),
        (HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}", "a wrong or a second Content-Length"),
        (HEAD + b"no colon\r\n\r\n{}", "not valid HTTP: one of its headers is broken"),
        (HEAD + b"x: " + b"a" * 200_000 + b"\r\n\r\n", "more or longer headers than are read"),
        (b"no HTTP at all\r\n\r\n", "is no HTTP/1.1; does the base URL name the right port"),
        (b"HTTP/2 200 OK\r\n\r\n", "is no HTTP/1.1; does the base URL name the right port"),
    ],
)
def test_a_message_says_in_words_what_is_wrong_with_the_http(fast: bool, answer: bytes, says: str) -> None:
    async def main(local: LocalServer, client: Client) -> Judged:
        local.answer = answer
        return await client.complete(BODY, 9)

    failure = over(fast, main)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent) == (Kind.CONNECTION, False)
    words, _, libraries_words = failure.message.partition(" (")
    assert says in words
    assert "Error" not in words
    assert "Error" in libraries_words or says.startswith("more or longer")


@pytest.mark.parametrize("head", [CHUNKED + b"ffffff\r\n", HEAD + b"content-length: 99999999\r\n\r\n", HEAD + b"\r\n"])
def test_a_body_that_is_too_long_is_not_read_to_its_end(fast: bool, head: bytes) -> None:
    async def main(local: LocalServer, client: Client) -> Judged:
        local.answer = head + b" " * (9 << 20)
        judged = await client.complete(BODY, 9)
        with anyio.fail_after(9):
            while local.open:  # noqa: ASYNC110 - the sockets tell nobody
                await anyio.sleep(0.01)
        return judged

    failure = over(fast, main)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.message) == (Kind.BAD_RESPONSE, "the response is longer than 8 MB")


def test_a_compressed_body_is_read(fast: bool) -> None:
    async def main(local: LocalServer, client: Client) -> Judged:
        body = gzip.compress(REPLY)
        local.answer = HEAD + b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        return await client.complete(BODY, 9)

    assert isinstance(over(fast, main), Completion)


def test_a_header_may_stand_twice_and_hold_any_bytes(fast: bool) -> None:
    async def main(local: LocalServer, client: Client) -> Judged:
        local.answer = OK.replace(b"\r\n\r\n", b"\r\nx-name: caf\xe9\r\nX-Name: th\xc3\xa9\r\n\r\n")
        return await client.complete(BODY, 9)

    assert isinstance(over(fast, main), Completion)


def test_a_long_prompt_arrives_whole(fast: bool) -> None:
    prompt = "word " * 180_000  # aiohttp warns from 1 MiB on

    async def main(local: LocalServer, client: Client) -> int:
        body = BODY | {"messages": [{"role": "user", "content": prompt}]}
        assert isinstance(await client.complete(body, 9), Completion)
        return len(local.requests[0])

    assert over(fast, main) > len(prompt)


@pytest.mark.parametrize("fast", [False, True], ids=["httpx", "aiohttp"])
def test_the_begin_of_a_request_is_told_once_there_is_a_connection(fast: bool) -> None:
    told = list[str]()

    async def main() -> None:
        local = LocalServer()
        server = await asyncio.start_server(local.serve, "127.0.0.1", 0)
        for port, name in ((server.sockets[0].getsockname()[1], "sent"), (1, "no connection")):
            client = Client(f"http://127.0.0.1:{port}/v1", fast=fast, tells_begin=True)
            reply = await client.complete_whole(BODY, 9, partial(told.append, name))
            assert isinstance(reply.judged, Completion if name == "sent" else Failure)
            await client.aclose()
        server.close()

    anyio.run(main)
    assert told == ["sent"]


def test_a_closed_client_leaves_no_connection_open(fast: bool) -> None:
    async def main(local: LocalServer, client: Client) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(client.complete, BODY, 9)
        await client.aclose()
        with anyio.fail_after(9):
            while local.open:  # noqa: ASYNC110 - the sockets tell nobody
                await anyio.sleep(0.01)

    over(fast, main)


def test_a_redirect_is_a_failure(fast: bool) -> None:
    async def main(local: LocalServer, client: Client) -> Judged:
        local.answer = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
        return await client.complete(BODY, 9)

    failure = over(fast, main)
    assert isinstance(failure, Failure)
    assert failure.kind is Kind.BAD_RESPONSE


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:1/v1", "127.0.0.1 port 1: connection refused"),
        ("https://nowhere.invalid/v1", "nowhere.invalid port 443: host unknown ("),
        ("http://nowhere.invalid/v1", "nowhere.invalid port 80: host unknown ("),
        ("http://two..dots/v1", "two..dots port 80: "),
    ],
)
def test_a_request_that_finds_no_connection_was_not_sent(fast: bool, url: str, says: str) -> None:
    async def main() -> Judged:
        client = Client(url, "sk-or-v1-0123456789abcdef", fast=fast)
        try:
            return await client.complete(BODY, 9)
        finally:
            await client.aclose()

    failure = anyio.run(main)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent) == (Kind.CONNECTION, True)
    assert failure.message.startswith(says)


def test_a_server_that_takes_no_connection_is_given_up(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("httpx", "aiohttp", "wreq"):
        with suppress(ImportError):  # the extra `fast` is not installed
            monkeypatch.setattr(f"batchfree.service.openrouter.{name}_carrier.CONNECT_TIMEOUT_S", 0.2)

    async def main() -> Judged:
        with socket.socket() as listener, ExitStack() as waiting:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(6):  # the queue of the listener is full, so the kernel answers no further connection
                other = waiting.enter_context(socket.socket())
                other.setblocking(False)
                other.connect_ex(listener.getsockname())
            client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", fast=fast)
            try:
                return await client.complete(BODY, 9)
            finally:
                await client.aclose()

    failure = anyio.run(main)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent) == (Kind.CONNECTION, True)
    assert failure.message.endswith(": no connection within 15 s")


def test_an_unreachable_network_is_named_for_wreq() -> None:
    pytest.importorskip("wreq", reason="the extra `fast` is not installed")
    from batchfree.service.openrouter.wreq_carrier import no_connection

    said = (
        "is_connect error: wreq::Error { kind: Request, uri: http://[100::1]/, source: Error { kind: Connect, source: "
    )
    for kind in ("HostUnreachable", "NetworkUnreachable"):
        text = f'{said}Some(ConnectError("tcp connect error", [100::1]:80, Os {{ code: 113, kind: {kind} }})) }}'
        assert no_connection(text) == "the network or the host is unreachable"
    assert no_connection("something new") == "something new"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return own_certificate(tmp_path)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def asked_over_tls(serve: Serve, context: ssl.SSLContext | None = None) -> Judged:
    """The result of one https request by aiohttp to a server; without `context` the server speaks no TLS.

    Only aiohttp is tried: httpx carries requests to OpenRouter, never to this machine.
    """

    async def main() -> Judged:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        client = Client(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", fast=True)
        try:
            return await client.complete(BODY, 9)
        finally:
            await client.aclose()
            server.close()

    return anyio.run(main)


def test_a_servers_own_certificate_is_trusted_once_it_is_named(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key_of(certificate))
    failure = asked_over_tls(LocalServer().serve, context)
    assert isinstance(failure, Failure)
    assert failure.unsent
    assert "no secure connection: self-signed certificate; " in failure.message
    assert "name its file in SSL_CERT_FILE" in failure.message
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert isinstance(asked_over_tls(LocalServer().serve, context), Completion)


def test_a_server_without_tls_is_no_secure_connection() -> None:
    async def in_plain_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    failure = asked_over_tls(in_plain_text)
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.unsent) == (Kind.CONNECTION, True)


def test_a_server_that_never_answers_times_out(fast: bool) -> None:
    async def main(local: LocalServer, client: Client) -> Judged:
        local.answer = None
        return await client.complete(BODY, 0.05)

    assert over(fast, main).kind is Kind.TIMEOUT


def test_a_server_that_pads_its_answer_with_blanks_times_out(fast: bool) -> None:
    async def main(local: LocalServer, client: Client) -> Judged:
        local.is_padding = True
        return await client.complete(BODY, 0.3)

    assert over(fast, main).kind is Kind.TIMEOUT


def test_a_thousand_cancelled_requests_leave_no_connection_open_and_no_worker_dead(fast: bool) -> None:
    async def main(local: LocalServer, client: Client) -> int:
        local.answer = None
        for _ in range(50):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(client.complete, BODY, 60)
                await anyio.sleep(0.005)
                tasks.cancel_scope.cancel()
        local.answer = OK
        answers = [await client.complete(BODY, 9) for _ in range(30)]
        assert all(isinstance(each, Completion) for each in answers)
        with anyio.fail_after(30):
            while local.open > 1:  # noqa: ASYNC110 - the sockets tell nobody
                await anyio.sleep(0.01)
        return local.open

    assert over(fast, main, connections=16) <= 1


def carrier(url: str, *, trust_env: bool = False, tells_begin: bool = False) -> str:
    """The name of the carrier to an endpoint of the user's own."""

    async def main() -> str:
        opened = open_carrier(url, {}, 1, fast=True, trust_env=trust_env, tells_begin=tells_begin)
        await opened.aclose()
        return type(opened).__name__

    return anyio.run(main)


def test_wreq_carries_plain_http_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wreq", reason="the extra `fast` is not installed")
    assert carrier("http://there.example/v1") == "WreqCarrier"
    assert carrier("https://there.example/v1") == AiohttpCarrier.__name__
    assert carrier("http://there.example/v1", tells_begin=True) == AiohttpCarrier.__name__
    without_wreq(monkeypatch)
    assert carrier("http://there.example/v1") == AiohttpCarrier.__name__


def test_a_proxy_from_the_environment_is_left_to_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert carrier("http://there.example/v1", trust_env=True) == HttpxCarrier.__name__
    assert carrier("http://there.example/v1") != HttpxCarrier.__name__
