"""Reads a reply: the first choice of a response without an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec.structs import replace

from batchfree.core.chat import Completion, Failure, Json, JsonObject, Judged, Kind, ToolCall
from batchfree.core.finish_reasons import Ending, ending_of
from batchfree.core.text import KeyPath, clean, is_blank
from batchfree.service.openrouter.evidence import gather
from batchfree.service.openrouter.lenient import as_list, as_object, as_text
from batchfree.service.openrouter.masking import masked_name, one_line
from batchfree.service.openrouter.verdicts import verdict
from batchfree.service.routing import is_safety_classifier

JsonTextAt: TypeAlias = Callable[[KeyPath], str]
"""The JSON text of a value of the body as the sender wrote it; raises ValueError or RecursionError."""

MESSAGE: KeyPath = ("choices", 0, "message")
TEXT_TYPES = ("text", "output_text", None)
"""The types of parts that hold the answer; others hold thinking, images or calls."""
STOPPED = {
    Ending.FILTERED: (Kind.CONTENT_POLICY, "a content filter stopped the answer"),
    Ending.REFUSED: (Kind.REFUSED, "the model declined to answer"),
    Ending.BROKEN: (Kind.UPSTREAM_ERROR, "the answer broke off"),
}
"""The kind of failure of a reply with this ending, whatever its content is."""
OTHER_FINISH_KEYS = ("stop_reason", "done_reason", "finishReason", "finish_details")
"""Other keys of the finish reason (Anthropic, Ollama, Gemini, OpenAI's previews), for servers without `finish_reason`.
vLLM puts the stop sequence itself under `stop_reason`, so only known words count there."""


def judge_choice(choice: JsonObject, payload: JsonObject, status: int, json_text_at: JsonTextAt) -> Judged:
    """What the first choice of a response means."""
    finish = _finish_reason(choice, payload)
    native = _word(choice.get("native_finish_reason"))
    native = native if native and native.casefold() != (finish or "").casefold() else None
    message, path = _message(choice)
    content = _content_text(message.get("content"), (*path, "content"), json_text_at)
    if choice.get("error"):
        failure = verdict(gather(status, {}, payload, choice["error"]))
        return replace(failure, content=content, finish_reason=finish, native_finish_reason=native)
    completion = Completion(
        model=masked_name(payload.get("model")),
        content=content,
        tool_calls=_tool_calls(message, json_text_at),
        finish_reason=finish,
        native_finish_reason=native,
    )
    kind, why = _find_failure(completion, as_text(message.get("refusal")))
    if kind is None:
        return completion
    return Failure(
        kind=kind,
        message=why,
        status=status,
        model=completion.model,
        content=content,
        finish_reason=finish,
        native_finish_reason=native,
    )


def _message(choice: JsonObject) -> tuple[JsonObject, KeyPath]:
    """The message of a choice and its path.

    The older completions API has a text instead of a message, and some servers send a message that is a text. Then the
    message is made from that text.
    """
    message = choice.get("message")
    if isinstance(message, str):
        return {"content": message}, ()
    return (as_object(message), MESSAGE) if as_object(message) else ({"content": as_text(choice.get("text"))}, ())


def _finish_reason(choice: JsonObject, payload: JsonObject) -> str | None:
    """Why the reply ended: the word of `finish_reason`, or a known word under the key of another server."""
    if (finish := _word(choice.get("finish_reason"))) is not None:
        return finish
    others = (_word(place.get(key)) for place in (choice, payload) for key in OTHER_FINISH_KEYS)
    return next((other for other in others if other and ending_of(other) is not Ending.UNKNOWN), None)


def _word(reason: Json) -> str | None:
    """A finish reason as a word. SGLang's own API sends `{"type": "length", "length": 64}`; some send `"null"`."""
    word = masked_name(reason.get("type") or reason.get("reason") if isinstance(reason, dict) else reason)
    return None if word in ("null", "None") else word


def _find_failure(completion: Completion, refusal: str | None) -> tuple[Kind | None, str]:
    """Why a reply is not an answer: the kind of failure and a message; None if it is an answer."""
    blank = is_blank(completion.content)
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


def _content_text(content: Json, path: KeyPath, json_text_at: JsonTextAt) -> str:
    """The text of a message, without reasoning.

    A list of parts gives the text of its text parts. An object, a number, `true`, or a list without any part is an
    answer that the server has parsed; it gives its JSON text.
    """
    if content is None or isinstance(content, str):
        return clean(content or "")
    if _is_part(content):
        content = [content]
    if isinstance(content, list) and (not content or any(_is_part(each) for each in content)):
        return clean("".join(_part_text(each) for each in content))
    return _json_text(path, json_text_at)


def _is_part(part: Json) -> bool:
    """Whether this is a part of a message: a text, or an object with a type or with a text under `text`."""
    return isinstance(part, str) or (isinstance(part, dict) and ("type" in part or set(part) == {"text"}))


def _part_text(part: Json) -> str:
    """The text of a text part; empty for other parts. Some servers put the text under `value`, one level deeper."""
    if isinstance(part, str):
        return part
    text = as_object(part).get("text") if as_object(part).get("type") in TEXT_TYPES else None
    text = as_object(text).get("value", text)
    return text if isinstance(text, str) else ""


def _json_text(path: KeyPath, json_text_at: JsonTextAt) -> str:
    """The JSON text of a value; empty if its nesting is too deep to be written."""
    try:
        return json_text_at(path)
    except (ValueError, RecursionError):
        return ""


def _tool_calls(message: JsonObject, json_text_at: JsonTextAt) -> tuple[ToolCall, ...]:
    calls = []
    for number, call in enumerate(as_list(message.get("tool_calls"))):
        function = as_object(as_object(call).get("function"))
        if (name := as_text(function.get("name"))) is None:
            continue
        arguments = function.get("arguments")
        if not isinstance(arguments, str):  # some servers send an object instead of its text
            path = (*MESSAGE, "tool_calls", number, "function", "arguments")
            arguments = _json_text(path, json_text_at) if arguments is not None else ""
        calls.append(ToolCall(name=name, arguments=clean(arguments) or "{}"))
    return tuple(calls)
