"""Who may speak to the server: this machine's programs with the right `Host`, no page of another origin."""

from __future__ import annotations

import base64
import socket
from contextlib import suppress

import anyio
import pytest
from support.emulated import emulation
from support.gateway import asking_for, gateway_on_socket, in_virtual_time
from support.virtual_time import VirtualTime

from batchfree.gateway.access import AccessRules, access_refusal
from batchfree.gateway.call_body import BodyMemory

KEY = "a-key-for-clients"
LOCAL, OPEN = AccessRules(host="127.0.0.1"), AccessRules(host="0.0.0.0", key=KEY)
HERE = {"host": "127.0.0.1:8766"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def basic(password):
    return {"authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("method", "path", "headers", "rules", "status"),
    [
        ("POST", "/v1/chat/completions", HERE, LOCAL, None),
        ("POST", "/v1/chat/completions", {"host": "localhost"}, LOCAL, None),
        ("POST", "/v1/chat/completions", {"host": "[::1]:8766"}, LOCAL, None),
        ("POST", "/v1/chat/completions", HERE | FORM, LOCAL, None),  # curl without a header
        ("POST", "/v1/chat/completions", {"host": "evil.example:8766"}, LOCAL, 403),
        ("POST", "/v1/chat/completions", {"host": "127.0.0.1.evil.example"}, LOCAL, 403),
        ("POST", "/v1/chat/completions", {"host": "evil.example@127.0.0.1"}, LOCAL, 403),
        ("POST", "/v1/chat/completions", {"host": ""}, LOCAL, 403),
        ("POST", "/v1/chat/completions", {}, LOCAL, 403),
        ("POST", "/v1/chat/completions", HERE | {"origin": "https://evil.example"}, LOCAL, 403),
        ("POST", "/v1/chat/completions", HERE | {"origin": "null"}, LOCAL, 403),
        ("POST", "/v1/chat/completions", HERE | {"sec-fetch-site": "cross-site"}, LOCAL, 403),
        ("POST", "/v1/chat/completions", HERE | {"sec-fetch-site": "same-site"}, LOCAL, 403),
        ("OPTIONS", "/v1/chat/completions", HERE | {"origin": "https://evil.example"}, LOCAL, 403),
        ("POST", "/v1/chat/completions", HERE | {"content-type": "text/plain;charset=utf-8"}, LOCAL, 415),
        ("POST", "/v1/chat/completions", HERE | {"content-type": "multipart/form-data; boundary=x"}, LOCAL, 415),
        ("POST", "/v1/files", HERE | {"content-type": "multipart/form-data; boundary=x"}, LOCAL, None),
        ("GET", "/status", HERE | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, LOCAL, 403),
        ("GET", "/", HERE | {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, LOCAL, None),
        ("GET", "/", HERE | {"sec-fetch-site": "same-origin"}, LOCAL, None),
        ("GET", "/v1/models", {"host": "box.lan"}, OPEN, 401),
        ("GET", "/v1/models", {"host": "box.lan", "authorization": f"Bearer {KEY}"}, OPEN, None),
        ("GET", "/v1/models", {"host": "box.lan", "x-api-key": KEY}, OPEN, None),
        ("GET", "/v1/models", {"host": "box.lan", "authorization": f"Bearer {KEY}x"}, OPEN, 401),
        ("GET", "/v1/models", {"host": "box.lan", "authorization": "Bearer "}, OPEN, 401),
        ("GET", "/v1/models", {"host": "box.lan", "authorization": "Bearer schlüssel"}, OPEN, 401),
        ("GET", "/v1/models", {"host": "box.lan"} | basic(KEY), OPEN, 401),
        ("GET", "/", {"host": "box.lan"} | basic(KEY), OPEN, None),
        ("GET", "/", {"host": "box.lan"} | basic("wrong"), OPEN, 401),
        ("GET", "/", {"host": "box.lan", "authorization": "Basic %%%"}, OPEN, 401),
    ],
)
def test_who_may_come_in(method, path, headers, rules, status):
    refusal = access_refusal(method, path, headers, rules)
    assert (refusal and refusal.status) == status


def test_no_response_lets_another_origin_read_it(tmp_path):
    async def act(served):
        evil = {"Origin": "https://evil.example"}
        return [
            await served.http.get("/models"),
            await served.http.get("/models", headers=evil),
            await served.http.options("/chat/completions", headers=evil | {"Access-Control-Request-Method": "POST"}),
            await served.http.post("/chat/completions", json=asking_for(), headers=evil),
            await served.http.get("/nothing"),
        ], len(served.posts)

    replies, posts = in_virtual_time(act, tmp_path)
    assert [reply.status_code for reply in replies] == [200, 403, 403, 403, 404]
    assert posts == 0
    for reply in replies:
        assert not any(name.startswith("access-control-") for name in reply.headers)
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"


def test_a_body_that_is_too_long_is_refused_before_it_is_read(tmp_path):
    async def act(served):
        long = b'{"model": "' + b"x" * (21 << 20)

        async def parts():
            for _ in range(22):
                yield b"x" * (1 << 20)

        return [await served.http.post("/chat/completions", content=each) for each in (long, parts())]

    assert [reply.status_code for reply in in_virtual_time(act, tmp_path)] == [413, 413]


def test_a_body_that_does_not_come_is_given_up():
    async def receive():
        await anyio.sleep_forever()

    async def read():
        with BodyMemory().reading({"headers": []}, receive) as reading:
            return await reading.read()

    assert VirtualTime().run(read).status == 408


def test_headers_that_do_not_come_end_the_connection(tmp_path):
    with gateway_on_socket(emulation(), tmp_path, headers_s=0.2) as (url, _):
        for begin in (b"", b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0"):
            with socket.create_connection(("127.0.0.1", int(url.split(":")[-1])), timeout=30) as slow:
                slow.sendall(begin)
                with suppress(ConnectionResetError):
                    assert slow.recv(100) == b""
