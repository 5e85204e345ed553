"""A chat completion as a stream of server-sent events. Source: OpenRouter docs, streaming."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from batchfree.emulator.emulated_model import JsonObject
from batchfree.emulator.replies import HttpReply, Step, encode

COMMENT = b": OPENROUTER PROCESSING\n\n"
DONE = b"data: [DONE]\n\n"
WORDS_A_CHUNK = 4


def frame(body: JsonObject) -> bytes:
    """One event."""
    return b"data: " + encode(body) + b"\n\n"


def as_stream(body: JsonObject, headers: Mapping[str, str]) -> HttpReply:
    """The stream with the content of `body`, a `chat.completion`: comments, deltas, usage, `[DONE]`."""
    steps: tuple[Step, ...] = (COMMENT, COMMENT, *(frame(chunk) for chunk in chunks(body)), DONE)
    return HttpReply(status=200, headers={**headers, "content-type": "text/event-stream"}, steps=steps)


def chunks(body: JsonObject) -> Iterator[JsonObject]:
    """`chat.completion.chunk` objects; an error inside the choice becomes a member of the last but one chunk."""
    shared: JsonObject = {key: body[key] for key in ("id", "created", "model", "provider") if key in body}
    head: JsonObject = {"object": "chat.completion.chunk", **shared}
    choices = body.get("choices")
    if not choices:
        yield {**body, **head}
        return
    message = choices[0]["message"]
    for delta in _deltas(message):
        yield head | {"choices": [_choice(delta, None, None)]}
    finish, native = choices[0].get("finish_reason"), choices[0].get("native_finish_reason")
    last = head | {"choices": [_choice({"role": "assistant", "content": ""}, finish, native)]}
    if "error" in choices[0]:
        last["error"] = choices[0]["error"]
    yield last
    tail = {key: body[key] for key in ("usage", "openrouter_metadata") if key in body}
    yield head | {"choices": [_choice({"role": "assistant", "content": ""}, finish, native)]} | tail


def _deltas(message: JsonObject) -> Iterator[JsonObject]:
    if message.get("reasoning"):
        yield {"role": "assistant", "content": "", "reasoning": message["reasoning"]}
    words = re.findall(r"\s*\S+\s*", message.get("content") or "")
    for start in range(0, len(words), WORDS_A_CHUNK):
        yield {"role": "assistant", "content": "".join(words[start : start + WORDS_A_CHUNK])}
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield {"role": "assistant", "content": None, "tool_calls": [{**call, "index": index}]}


def _choice(delta: JsonObject, finish: str | None, native: str | None) -> JsonObject:
    return {"index": 0, "delta": delta, "finish_reason": finish, "native_finish_reason": native, "logprobs": None}
