"""Faults of the bytes on their way: blanks, slow bytes, cuts, endless bodies, wrong types. They only plan steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from batchfree.emulator.faults.fault import Fault, Options
from batchfree.emulator.model_call import ModelCall
from batchfree.emulator.replies import Cut, HttpReply, Pause, Repeat, Step

HTML = (
    b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>"
    b"<body><h1>Bad gateway</h1>cloudflare</body></html>\n"
)
CHUNK = 65_536


def _with_type(reply: HttpReply, kind: str, body: bytes, status: int | None = None) -> HttpReply:
    headers = {**reply.headers, "content-type": kind}
    return replace(reply, status=status or reply.status, headers=headers, steps=(body,))


def _html(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    return _with_type(reply, "text/html; charset=UTF-8", HTML, options["status"])


def _broken_utf8(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    body = reply.body
    middle = len(body) // 2
    return replace(reply, steps=(body[:middle] + b"\xff\xfe\xc3" + body[middle:],))


def _not_json(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    return replace(reply, steps=(str(options["body"]).encode(),))


def _half_body(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    return replace(reply, steps=(reply.body[: int(len(reply.body) * options["share"])],))


def _blanks(seconds: float, every: float) -> tuple[Step, ...]:
    times = max(1, round(seconds / every)) if every else 1
    return (Repeat(b"         \n", every, times),)


def _padding(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    return replace(reply, steps=(*_blanks(options["seconds"], options["every"]), *reply.steps))


def _only_blanks(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    return replace(reply, steps=_blanks(options["seconds"], options["every"]))


def _comments(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    steps: list[Step] = [Repeat(b": OPENROUTER PROCESSING\n\n", options["every"], options["lines"])]
    return replace(reply, steps=(*steps, *reply.steps))


def _drip(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    body, size = reply.body, max(1, options["bytes"])
    steps: list[Step] = []
    for start in range(0, len(body), size):
        steps += [body[start : start + size], Pause(options["every"])]
    return replace(reply, steps=tuple(steps))


def _endless(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    return replace(reply, steps=(reply.body[: len(reply.body) // 2], Repeat(b" ", options["every"], None)))


def _silence(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    return replace(reply, delay=options["seconds"])


def _cut(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    if options["share"] <= 0:
        return replace(reply, steps=(Cut(),))
    sent = reply.body[: max(1, int(len(reply.body) * options["share"]))]
    return replace(reply, steps=(sent, Pause(0), Cut()))


def _over_long(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    times = max(1, options["size"] // CHUNK)
    return replace(reply, steps=(b'{"id":"', Repeat(b"x" * CHUNK, 0, times), b'"}'))


def _wrong_type(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    return replace(reply, headers={**reply.headers, "content-type": options["type"]})


def _redirect(reply: HttpReply, call: ModelCall, options: Options) -> HttpReply:
    moved = _with_type(reply, "text/plain", b"Moved", options["status"])
    return replace(moved, headers={**moved.headers, "location": options["location"]})


def _fault(
    name: str,
    does: str,
    carry: Callable[[HttpReply, ModelCall, Options], HttpReply],
    options: Mapping[str, Any] | None = None,
    *,
    loses: bool = True,
) -> Fault:
    return Fault(name=name, does=does, options=options or {}, carry=carry, loses_answer=loses)


ELSEWHERE = "https://elsewhere.invalid/api/v1/chat/completions"

FAULTS = (
    _fault("html_page", "sends an HTML error page of the CDN", _html, {"status": 502}),
    _fault("broken_utf8", "sends bytes that are no UTF-8", _broken_utf8),
    _fault("not_json", "sends text that is no JSON as application/json", _not_json, {"body": "upstream connect error"}),
    _fault("half_body", "sends the first `share` of the body as if it were the whole", _half_body, {"share": 0.5}),
    _fault("only_blanks", "sends nothing but blanks for `seconds`", _only_blanks, {"seconds": 5.0, "every": 1.0}),
    _fault(
        "padding",
        "sends blanks for `seconds` before the answer",
        _padding,
        {"seconds": 20.0, "every": 1.0},
        loses=False,
    ),
    _fault(
        "comments",
        "sends `: OPENROUTER PROCESSING` lines before the JSON",
        _comments,
        {"lines": 3, "every": 0.5},
        loses=False,
    ),
    _fault("drip", "sends `bytes` bytes every `every` seconds", _drip, {"bytes": 16, "every": 1.0}, loses=False),
    _fault("endless", "never ends the body", _endless, {"every": 1.0}),
    _fault("silence", "sends nothing at all for `seconds`", _silence, {"seconds": 600.0}, loses=False),
    _fault("cut", "cuts the connection after `share` of the body (0: before the status)", _cut, {"share": 0.5}),
    _fault("over_long", "sends a body of `size` bytes", _over_long, {"size": 64 * 1024 * 1024}),
    _fault("wrong_type", "sends the wrong content type", _wrong_type, {"type": "text/html"}, loses=False),
    _fault("redirect", "redirects the client", _redirect, {"status": 307, "location": ELSEWHERE}),
)
