"""The judge of responses: turns status, headers and body into a `Completion` or a `Failure`.

HTTP 200 does not mean success: OpenRouter sends the status before it knows the result, so the body may hold an error.
A status may also be the one that a provider gave to OpenRouter. The judge never raises, whatever the body is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from batchfree.core.chat import Completion, Failure, Json, JsonObject, Judged, Kind, ToolCall, Usage
from batchfree.core.finish_reasons import Ending, ending_of
from batchfree.core.text import clean
from batchfree.service.openrouter.evidence import Evidence, gather
from batchfree.service.openrouter.lenient import (
    as_count,
    as_list,
    as_number,
    as_object,
    as_text,
    find_header,
    parse_json,
)
from batchfree.service.openrouter.masking import masked_name, masked_object, one_line
from batchfree.service.openrouter.verdicts import verdict
from batchfree.service.routing import is_safety_classifier

BLANKS = " \t\r\n\ufeff\x00"
PADDING = re.compile(r"(?:[ \t\r\n\ufeff\x00]++|:[^\n]*+\n?)*+")
TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
HTML = re.compile(r"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)
DATA = "data:"
TEXT_PARTS = ("text", "output_text", None)
STOPPED = {
    Ending.FILTERED: (Kind.CONTENT_POLICY, "a content filter stopped the answer"),
    Ending.REFUSED: (Kind.REFUSED, "the model declined to answer"),
    Ending.BROKEN: (Kind.UPSTREAM_ERROR, "the answer broke off"),
}
"""What a reply with one of these endings is, whatever it holds."""
OTHER_FINISH_KEYS = ("stop_reason", "done_reason", "finishReason", "finish_details")
"""Where other servers put the finish reason (Anthropic, Ollama, Gemini, OpenAI's previews), if `finish_reason` is null.
vLLM has the stop sequence itself under `stop_reason`, so only known words count there."""


def judge(status: int, headers: Mapping[str, str], body: bytes) -> Judged:
    """What a response means. Header names may have any case; `body` is complete and decompressed."""
    if 300 <= status < 400:
        place = (find_header(headers, "location") or "nowhere").split("?")[0]
        message = one_line(f"the service redirects to {place}; redirects are not followed")
        return Failure(kind=Kind.BAD_RESPONSE, message=message, status=status)
    text = strip_padding(body)
    payload = as_object(_payload(text))
    if status < 400 and not _has_error(payload):
        judged = _judge_reply(payload, status) if payload else _judge_unreadable(text, status, headers)
    else:
        judged = _judge_error(payload, text, status, headers)
    return _with_envelope(judged, payload, headers)


def strip_padding(body: bytes) -> str:
    """The body as text, without the blanks and comments (`: OPENROUTER PROCESSING`) that keep the connection open."""
    text = body.decode("utf-8", "replace").rstrip(BLANKS)
    padding = PADDING.match(text)
    return text[padding.end() :] if padding else text


def _payload(text: str) -> Json:
    """The JSON of a body. Of an event stream, which batchfree never requests, only a frame with an error."""
    if not text.startswith((DATA, "event:")):
        return parse_json(text)
    frames = (parse_json(line[len(DATA) :].strip()) for line in text.splitlines() if line.startswith(DATA))
    return next((frame for frame in frames if _has_error(as_object(frame))), None)


def _has_error(payload: JsonObject) -> bool:
    return bool(payload.get("error")) or payload.get("success") is False


def _judge_error(payload: JsonObject, text: str, status: int, headers: Mapping[str, str]) -> Failure:
    if _has_error(payload):
        return verdict(gather(status, headers, payload, payload.get("error")))
    if payload:  # errors of other servers: `{"message": …}`, `{"detail": …}`
        evidence = gather(status, headers, payload, {**payload, "metadata": None})
        return verdict(evidence if evidence.cause else gather(status, headers, payload, payload.get("detail")))
    judged = verdict(Evidence(status=status, text=_html_title(text), headers=headers, readable=False))
    return replace(judged, message=one_line(f"status {status} with {_describe_body(text)}"))


def _judge_unreadable(text: str, status: int, headers: Mapping[str, str]) -> Failure:
    kind = find_header(headers, "content-type") or "no content type"
    message = one_line(f"status {status} with {_describe_body(text)} instead of JSON ({kind})")
    return Failure(kind=Kind.BAD_RESPONSE, message=message, status=status)


def _describe_body(text: str) -> str:
    if not text:
        return "a body of only blanks"
    if HTML.match(text):
        return f"an HTML page: {_html_title(text) or 'untitled'}"
    return f"a body that is no JSON object or is cut off: {text[:80]}"


def _html_title(text: str) -> str:
    found = TITLE.search(text[:20_000])
    return found.group(1).strip() if found else ""


def _judge_reply(payload: JsonObject, status: int) -> Judged:
    """What the first choice of a response without an error means."""
    choice = as_object(next(iter(as_list(payload.get("choices"))), None))
    if not choice:
        message = "the reply has no choices"
        return Failure(kind=Kind.BAD_RESPONSE, message=message, status=status)
    finish = _finish_reason(choice, payload)
    native = _word(choice.get("native_finish_reason"))
    native = native if native and native.casefold() != (finish or "").casefold() else None
    message_part = as_object(choice.get("message")) or {"content": choice.get("text")}
    content = _content_text(message_part.get("content"))
    if choice.get("error"):
        failure = verdict(gather(status, {}, payload, choice["error"]))
        return replace(failure, content=content, finish_reason=finish, native_finish_reason=native)
    completion = Completion(
        model=masked_name(payload.get("model")),
        content=content,
        tool_calls=_tool_calls(message_part),
        finish_reason=finish,
        native_finish_reason=native,
    )
    kind, message = _find_failure(completion, as_text(message_part.get("refusal")))
    if kind is None:
        return completion
    return Failure(
        kind=kind,
        message=message,
        status=status,
        model=completion.model,
        content=content,
        finish_reason=finish,
        native_finish_reason=native,
    )


def _finish_reason(choice: JsonObject, payload: JsonObject) -> str | None:
    """Why the reply ended, by the word of `finish_reason`, or by a known word where other servers put it."""
    if (finish := _word(choice.get("finish_reason"))) is not None:
        return finish
    others = (_word(place.get(key)) for place in (choice, payload) for key in OTHER_FINISH_KEYS)
    return next((other for other in others if other and ending_of(other) is not Ending.UNKNOWN), None)


def _word(reason: Json) -> str | None:
    """A finish reason as a word. SGLang's own API sends `{"type": "length", "length": 64}`; some send `"null"`."""
    word = masked_name(reason.get("type") or reason.get("reason") if isinstance(reason, dict) else reason)
    return None if word in ("null", "None") else word


def _find_failure(completion: Completion, refusal: str | None) -> tuple[Kind | None, str]:
    """The reason why a reply is no answer, with a message; None if it is one."""
    blank = not completion.content.strip(BLANKS)
    if completion.model is not None and is_safety_classifier(completion.model):
        return Kind.NOT_CHAT, "a safety classifier answered"
    if refusal:
        return Kind.REFUSED, one_line(f"the model refused: {refusal}")
    if (stopped := STOPPED.get(completion.ending)) is not None:
        words = " / ".join(word for word in (completion.finish_reason, completion.native_finish_reason) if word)
        return stopped[0], one_line(f"{stopped[1]} (finish reason: {words})")
    if completion.tool_calls or not blank:
        return None, ""
    if completion.ending is Ending.CUT:
        return Kind.TRUNCATED, "the token limit was reached before the answer began; reasoning may have used all tokens"
    return Kind.EMPTY, "the answer is empty"


def _content_text(content: Json) -> str:
    """The text of a message, without reasoning. Of a list of parts, the text of the text parts."""
    if isinstance(content, str):
        return clean(content)
    parts = (part if isinstance(part, dict) else {"text": part} for part in as_list(content))
    texts = (part.get("text") for part in parts if part.get("type") in TEXT_PARTS)
    return clean("".join(text for text in texts if isinstance(text, str)))


def _tool_calls(message: JsonObject) -> tuple[ToolCall, ...]:
    functions = (as_object(as_object(call).get("function")) for call in as_list(message.get("tool_calls")))
    return tuple(
        ToolCall(name=called, arguments=_arguments_text(function.get("arguments")))
        for function in functions
        if (called := as_text(function.get("name"))) is not None
    )


def _arguments_text(value: Json) -> str:
    """The arguments of a tool call as JSON text. Some servers send an object instead of text."""
    if isinstance(value, str):
        return clean(value)
    try:
        return json.dumps(as_object(value))
    except RecursionError:
        return "{}"


def _with_envelope(judged: Judged, payload: JsonObject, headers: Mapping[str, str]) -> Judged:
    """The judgement with provider, request id, usage and routing metadata of the response."""
    usage = as_object(payload.get("usage"))
    return replace(
        judged,
        model=judged.model or masked_name(payload.get("model")),
        provider=judged.provider or masked_name(payload.get("provider")),
        request_id=masked_name(payload.get("id")) or find_header(headers, "x-generation-id"),
        usage=Usage(
            prompt_tokens=as_count(usage.get("prompt_tokens")),
            completion_tokens=as_count(usage.get("completion_tokens")),
            cost=max(0.0, as_number(usage.get("cost")) or 0.0),
        ),
        router=masked_object(payload.get("openrouter_metadata")),
    )
