"""The judge of responses: (status, headers, body) becomes a `Completion` or a `Failure`.

HTTP 200 is not success: an error may ride on it, since the status was sent before the outcome was known. And a status
may be a provider's, not ours. Whatever the bytes, the judge never raises.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from batchfree.core.chat import Completion, Failure, Json, JsonObject, Judged, Kind, ToolCall, Usage
from batchfree.core.text import clean
from batchfree.service.openrouter.evidence import Evidence, gather
from batchfree.service.openrouter.lenient import count, document, header, listing, number, table, word
from batchfree.service.openrouter.masking import metadata, name, sentence
from batchfree.service.openrouter.verdicts import verdict
from batchfree.service.routing import is_safety_classifier

BLANKS = " \t\r\n\ufeff\x00"
PADDING = re.compile(r"(?:[ \t\r\n\ufeff\x00]++|:[^\n]*+\n?)*+")
TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
HTML = re.compile(r"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)
DATA = "data:"
TEXT_PARTS = ("text", "output_text", None)
FILTERED = frozenset(
    {"content_filter", "safety", "recitation", "prohibited_content", "blocklist", "spii", "image_safety"}
)
"""Finish reasons, also native ones (lower case), of an answer that a filter took away."""
CUT = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Judged:
    """What a response means. `headers` may be spelled in any case; `body` is decompressed and read to its end."""
    if 300 <= status < 400:
        place = (header(headers, "location") or "nowhere").split("?")[0]
        message = sentence(f"the service redirects to {place}; redirects are not followed")
        return Failure(kind=Kind.BAD_RESPONSE, message=message, status=status)
    text = unpadded(body)
    payload = table(_last(text))
    if status < 400 and not _has_error(payload):
        judged = _reply(payload, status) if payload else _unreadable(text, status, headers)
    else:
        judged = _error(payload, text, status, headers)
    return _labelled(judged, payload, headers)


def unpadded(body: bytes) -> str:
    """The body as text, without the blanks and comment lines (`: OPENROUTER PROCESSING`) that keep a connection up."""
    text = body.decode("utf-8", "replace").rstrip(BLANKS)
    padding = PADDING.match(text)
    return text[padding.end() :] if padding else text


def _last(text: str) -> Json:
    """The JSON of a body; of an event stream, which is never asked for, the frame with an error, else nothing."""
    if not text.startswith((DATA, "event:")):
        return document(text)
    frames = (document(line[len(DATA) :].strip()) for line in text.splitlines() if line.startswith(DATA))
    return next((frame for frame in frames if _has_error(table(frame))), None)


def _has_error(payload: JsonObject) -> bool:
    return bool(payload.get("error")) or payload.get("success") is False


def _error(payload: JsonObject, text: str, status: int, headers: Mapping[str, str]) -> Failure:
    if _has_error(payload):
        return verdict(gather(status, headers, payload, payload.get("error")))
    if payload:  # `{"message": …}`, `{"detail": …}`: other servers' errors
        evidence = gather(status, headers, payload, {**payload, "metadata": None})
        return verdict(evidence if evidence.cause else gather(status, headers, payload, payload.get("detail")))
    judged = verdict(Evidence(status=status, text=_title(text), headers=headers, readable=False))
    return replace(judged, message=sentence(f"status {status} with {_looks(text)}"))


def _unreadable(text: str, status: int, headers: Mapping[str, str]) -> Failure:
    kind = header(headers, "content-type") or "no content type"
    message = sentence(f"status {status} with {_looks(text)} instead of JSON ({kind})")
    return Failure(kind=Kind.BAD_RESPONSE, message=message, status=status)


def _looks(text: str) -> str:
    if not text:
        return "a body of nothing but blanks"
    if HTML.match(text):
        return f"an HTML page: {_title(text) or 'untitled'}"
    return f"a body that is not an object or breaks off: {text[:80]}"


def _title(text: str) -> str:
    found = TITLE.search(text[:20_000])
    return found.group(1).strip() if found else ""


def _reply(payload: JsonObject, status: int) -> Judged:
    """A success, as far as the envelope goes: what the first choice amounts to."""
    choice = table(next(iter(listing(payload.get("choices"))), None))
    if not choice:
        message = "the reply holds no choices"
        return Failure(kind=Kind.BAD_RESPONSE, message=message, status=status)
    finish = name(choice.get("finish_reason"))
    message_part = table(choice.get("message")) or {"content": choice.get("text")}
    content = _text(message_part.get("content"))
    if choice.get("error") or finish == "error":
        error = choice.get("error") or {"message": "the model broke off with an error"}
        return replace(verdict(gather(status, {}, payload, error)), content=content, finish_reason=finish)
    completion = Completion(
        model=name(payload.get("model")),
        content=content,
        tool_calls=_tool_calls(message_part),
        finish_reason=finish,
    )
    native = (word(choice.get("native_finish_reason")) or "").lower()
    kind, message = _wrong(completion, word(message_part.get("refusal")), native)
    if kind is None:
        return completion
    return Failure(
        kind=kind, message=message, status=status, model=completion.model, content=content, finish_reason=finish
    )


def _wrong(completion: Completion, refusal: str | None, native: str) -> tuple[Kind | None, str]:
    """What keeps a reply from being one, if anything."""
    finish, blank = (completion.finish_reason or "").lower(), not completion.content.strip(BLANKS)
    if completion.model is not None and is_safety_classifier(completion.model):
        return Kind.NOT_CHAT, "a safety classifier answered"
    if refusal:
        return Kind.REFUSED, sentence(f"the model refused: {refusal}")
    if finish in FILTERED or (blank and native in FILTERED):
        return Kind.CONTENT_POLICY, "a content filter stopped the answer"
    if completion.tool_calls or not blank:
        return None, ""
    if finish in CUT or native in CUT:
        return Kind.TRUNCATED, "the token limit was reached before the answer began; thinking may have used it up"
    return Kind.EMPTY, "the answer is empty"


def _text(content: Json) -> str:
    """The text of a message's content; of a list of parts, that of its text parts. Thinking is left out."""
    if isinstance(content, str):
        return clean(content)
    parts = (part if isinstance(part, dict) else {"text": part} for part in listing(content))
    texts = (part.get("text") for part in parts if part.get("type") in TEXT_PARTS)
    return clean("".join(text for text in texts if isinstance(text, str)))


def _tool_calls(message: JsonObject) -> tuple[ToolCall, ...]:
    functions = (table(table(call).get("function")) for call in listing(message.get("tool_calls")))
    return tuple(
        ToolCall(name=called, arguments=_arguments(function.get("arguments")))
        for function in functions
        if (called := word(function.get("name"))) is not None
    )


def _arguments(value: Json) -> str:
    """Arguments as JSON text; some servers send the object itself."""
    if isinstance(value, str):
        return clean(value)
    try:
        return json.dumps(table(value))
    except RecursionError:
        return "{}"


def _labelled(judged: Judged, payload: JsonObject, headers: Mapping[str, str]) -> Judged:
    """The judgement with everything that the envelope says beside it."""
    usage = table(payload.get("usage"))
    return replace(
        judged,
        model=judged.model or name(payload.get("model")),
        provider=judged.provider or name(payload.get("provider")),
        request_id=name(payload.get("id")) or header(headers, "x-generation-id"),
        usage=Usage(
            prompt_tokens=count(usage.get("prompt_tokens")),
            completion_tokens=count(usage.get("completion_tokens")),
            cost=max(0.0, number(usage.get("cost")) or 0.0),
        ),
        router=metadata(payload.get("openrouter_metadata")),
    )
