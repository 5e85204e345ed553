"""A whole reply as the chunks of a stream, in the form of OpenRouter's streaming.

Sources: OpenRouter docs, page "Streaming"; OpenAI API reference, "chat.completion.chunk". The usage comes in a last
chunk whose choice is empty. Comments keep the connection open until there is an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from batchfree.core.chat import Json, JsonObject
from batchfree.gateway.http_refusal import HttpRefusal

COMMENT = b": BATCHFREE PROCESSING\n\n"
DONE = b"data: [DONE]\n\n"
WORDS = re.compile(r"\s*(?:\S+\s*){1,4}|\s+")
"""Up to four words at a time, with the blanks around them."""
OF_REPLY = ("id", "created", "model", "provider", "system_fingerprint", "service_tier")
OF_LAST = ("usage", "openrouter_metadata")
OF_DELTAS = ("role", "content", "tool_calls")


def reply_events(reply: JsonObject, tried: str) -> Iterator[bytes]:
    """The events of a `chat.completion`, up to `[DONE]`. A comment names the models that were tried."""
    yield f": X-Batchfree-Attempts: {tried}\n\n".encode()
    for chunk in chunks(reply):
        yield event(chunk)
    yield DONE


def error_events(refusal: HttpRefusal) -> Iterator[bytes]:
    """The events of a call that fails after comments were sent: one chunk with the error, and `[DONE]`.

    OpenAI's SDKs raise an error for it.
    """
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "error"}
    yield event(
        {"id": "", "object": "chat.completion.chunk", "created": 0, "model": "", **refusal.body(), "choices": [choice]}
    )
    yield DONE


def event(value: Json) -> bytes:
    """One event. JSON holds no line breaks outside of texts, where they are escaped."""
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n".encode()


def chunks(reply: JsonObject) -> Iterator[JsonObject]:
    """The `chat.completion.chunk` objects of a reply. OpenRouter's SDK for TypeScript refuses nulls in their head."""
    head: JsonObject = {key: reply[key] for key in OF_REPLY if reply.get(key) is not None}
    head |= {"object": "chat.completion.chunk"}
    choice = reply["choices"][0]
    logprobs = choice.get("logprobs")
    for delta in _deltas(choice.get("message") or {}):
        yield head | {"choices": [_choice(delta, logprobs=logprobs)]}
        logprobs = None
    ends = {key: choice.get(key) for key in ("finish_reason", "native_finish_reason")}
    yield head | {"choices": [_choice({"role": "assistant", "content": ""}) | ends]}
    tail = {key: reply[key] for key in OF_LAST if key in reply}
    if tail:
        yield head | {"choices": [_choice({"role": "assistant", "content": ""})]} | tail


def _deltas(message: JsonObject) -> Iterator[JsonObject]:
    """The message in parts. Members other than content and tool calls, such as reasoning, come first and whole."""
    others = {key: value for key, value in message.items() if key not in OF_DELTAS and value is not None}
    yield {"role": "assistant", "content": "", **others}
    content = message.get("content")
    if isinstance(content, str):
        for words in WORDS.findall(content):
            yield {"role": "assistant", "content": words}
    elif content is not None:
        yield {"role": "assistant", "content": content}
    for place, call in enumerate(message.get("tool_calls") or ()):
        if isinstance(call, dict):
            yield {"role": "assistant", "content": None, "tool_calls": [{**call, "index": place}]}


def _choice(delta: JsonObject, logprobs: Json = None) -> JsonObject:
    return {"index": 0, "delta": delta, "finish_reason": None, "native_finish_reason": None, "logprobs": logprobs}
