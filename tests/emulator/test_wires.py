"""Faults of the bytes on their way: wrong types, slow, endless, cut and over-long bodies."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest
from support.emulated import GLM, ask, asking, client, emulation, played
from support.virtual_time import NOON, VirtualTime


@pytest.mark.parametrize(
    ("fault", "options", "status", "kind"),
    [
        ("html_page", {}, 502, "text/html; charset=UTF-8"),
        ("wrong_type", {"type": "text/plain"}, 200, "text/plain"),
        ("redirect", {"status": 308}, 308, "text/plain"),
        ("not_json", {}, 200, "application/json"),
    ],
)
def test_a_reply_of_the_wrong_type(fault, options, status, kind):
    reply = played(fault, **options)
    assert (reply.status_code, reply.headers["content-type"]) == (status, kind)
    assert (fault == "redirect") == ("location" in reply.headers)


def test_broken_bytes_are_no_utf8_and_half_a_body_is_no_json():
    with pytest.raises(UnicodeDecodeError):
        played("broken_utf8").content.decode()
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        played("half_body").json()


@pytest.mark.parametrize(
    ("fault", "options", "seconds"),
    [
        ("padding", {"seconds": 20, "every": 1}, 20),
        ("comments", {"lines": 4, "every": 0.5}, 2),
        ("drip", {"bytes": 100, "every": 1}, None),
        ("silence", {"seconds": 600}, 600),
        ("only_blanks", {"seconds": 5, "every": 1}, 5),
    ],
)
def test_slow_bodies_take_their_time(fault, options, seconds):
    time = VirtualTime()
    app = emulation(f"faults: [{{fault: {fault}, with: {json.dumps(options)}}}]", time=time)
    (reply,) = ask(app, asking(model=GLM))
    assert time.clock() - NOON == seconds if seconds else time.clock() > NOON + 5
    text = reply.text.replace(": OPENROUTER PROCESSING", "").strip()
    assert (text == "") == (fault == "only_blanks")
    assert fault == "only_blanks" or json.loads(text)["model"] == GLM


def test_time_scale_shortens_every_wait():
    time = VirtualTime()
    ask(emulation("time_scale: 0.1\nfaults: [{fault: silence, with: {seconds: 100}}]", time=time), asking())
    assert time.clock() - NOON == pytest.approx(10)


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_cut_connection_is_a_protocol_error(share):
    with pytest.raises(httpx.RemoteProtocolError):
        played("cut", share=share)


def test_an_over_long_body_is_as_long_as_it_says():
    assert len(played("over_long", size=1_000_000).content) >= 900_000


def test_a_never_ending_body_ends_when_the_client_leaves():
    app = emulation("faults: [{fault: endless}]")

    async def main() -> Any:
        with anyio.move_on_after(0.2) as scope:
            async with client(app) as http:
                await http.post("/chat/completions", json=asking())
        assert scope.cancelled_caught
        return app.state.log.requests[0].done_at

    assert app.state.time.run(main) > NOON
    assert app.state.log.requests[0].delivered is False
