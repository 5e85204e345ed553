"""Faults of the answer: empty, cut off, refused, missing, charged. The faults of `text_faults` are added at the end.

Each changes a `chat.completion` in place. Sources: OpenRouter docs (errors), recorded traffic of 2026.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from batchfree.emulator.emulated_model import JsonObject
from batchfree.emulator.faults import text_faults
from batchfree.emulator.faults.fault import Fault, Options
from batchfree.emulator.model_call import ModelCall

VERDICTS = (
    "User Safety: safe",
    "User Safety: safe\nResponse Safety: safe",
    "safe",
    "unsafe",
    '{"safety":"safe"}',
    '{"User Safety": "safe", "Response Safety": "safe"}',
    "User Safety: unsafe\nSafety Categories: Violence",
)
LEAKED = (
    "We need to produce the answer. The user asks about the text. Let me think about the instructions: "
    "they want a single answer. But wait, we should check once more whether",
    "Okay, the user wants me to look at this. First, I should consider the options. Hmm, let me see.",
    "<think>The task is to answer briefly. So the best option would be",
)


def message_of(body: JsonObject) -> JsonObject:
    """The message of the first choice; an empty one if an earlier fault removed it."""
    choices = body.get("choices") or [{}]
    message: JsonObject = choices[0].setdefault("message", {})
    return message


def _content(body: JsonObject, content: Any, finish: str | None = "stop") -> None:
    message = message_of(body)
    message["content"] = content
    message.pop("tool_calls", None)
    for choice in body.get("choices") or ():
        choice["finish_reason"] = choice["native_finish_reason"] = finish


def _null(body: JsonObject, call: ModelCall, options: Options) -> None:
    _content(body, None, options["finish_reason"] or None)


def _blank(body: JsonObject, call: ModelCall, options: Options) -> None:
    _content(body, options["content"])


def _all_reasoning(body: JsonObject, call: ModelCall, options: Options) -> None:
    _content(body, "", "length")
    message_of(body)["reasoning"] = "Let me think about this step by step. " * 8
    usage = body.setdefault("usage", {})
    usage["completion_tokens"] = 80
    usage["completion_tokens_details"] = {"reasoning_tokens": 80}


def _cut_off(body: JsonObject, call: ModelCall, options: Options) -> None:
    content = message_of(body).get("content") or ""
    _content(body, content[: int(len(content) * options["share"])], "length")


def _filtered(body: JsonObject, call: ModelCall, options: Options) -> None:
    _content(body, "", "content_filter")


def _refused(body: JsonObject, call: ModelCall, options: Options) -> None:
    _content(body, options["content"] or None)
    message_of(body)["refusal"] = "I'm sorry, but I can't help with that."


def _error_in_choice(body: JsonObject, call: ModelCall, options: Options) -> None:
    content = message_of(body).get("content") or ""
    _content(body, content[: len(content) // 2], "error")
    metadata = {"error_type": options["error_type"], "provider_name": call.provider}
    error = {"code": options["code"], "message": "Provider returned error", "metadata": metadata}
    for choice in body["choices"]:
        choice["error"] = error


def _choices(body: JsonObject, call: ModelCall, options: Options) -> None:
    body["choices"] = None if options["value"] == "null" else []


def _verdict(body: JsonObject, call: ModelCall, options: Options) -> None:
    form = options["form"]
    _content(body, VERDICTS[int(call.uniform("verdict") * len(VERDICTS)) if form is None else form % len(VERDICTS)])


def _leaked(body: JsonObject, call: ModelCall, options: Options) -> None:
    _content(body, LEAKED[int(call.uniform("leaked") * len(LEAKED))])


def _charged(body: JsonObject, call: ModelCall, options: Options) -> None:
    body.setdefault("usage", {})["cost"] = options["cost"]


def _paid_model(body: JsonObject, call: ModelCall, options: Options) -> None:
    body["model"] = options["id"] or call.model.removesuffix(":free")


def _parts(body: JsonObject, call: ModelCall, options: Options) -> None:
    message = message_of(body)
    message["content"] = [{"type": "text", "text": message.get("content") or ""}]


def _without(body: JsonObject, call: ModelCall, options: Options) -> None:
    body.pop(options["member"], None)


def _tool_arguments(body: JsonObject, call: ModelCall, options: Options) -> None:
    for tool_call in message_of(body).get("tool_calls") or ():
        function = tool_call["function"]
        function["arguments"] = function["arguments"][:-2] + ", oops"


def _fault(
    name: str,
    does: str,
    spoil: Callable[[JsonObject, ModelCall, Options], None],
    options: Mapping[str, Any] | None = None,
    *,
    loses: bool = True,
) -> Fault:
    return Fault(name=name, does=does, options=options or {}, spoil=spoil, loses_answer=loses)


def _from_text_fault(fault: text_faults.TextFault) -> Fault:
    """The fault as a change of the completion; its option `finish_reason` replaces that of the choice."""

    def spoil(body: JsonObject, call: ModelCall, options: Options) -> None:
        message = message_of(body)
        content = message.get("content")
        if isinstance(content, str):
            message["content"] = fault.change(content, call, options)
            if options.get("finish_reason"):
                body["choices"][0]["finish_reason"] = options["finish_reason"]

    return _fault(fault.name, fault.does, spoil, fault.options, loses=fault.loses_answer)


FAULTS = (
    _fault("content_null", "sends no content", _null, {"finish_reason": "stop"}),
    _fault("content_blank", "sends empty or blank content", _blank, {"content": ""}),
    _fault("all_reasoning", "spends all tokens on thinking", _all_reasoning),
    _fault("cut_off", "cuts the content by length", _cut_off, {"share": 0.5}, loses=False),
    _fault("content_filter", "filters the content", _filtered),
    _fault("refusal", "refuses in the member `refusal`", _refused, {"content": ""}),
    _fault(
        "error_in_choice",
        "fails half-way: the error is inside the choice (in a stream: in a chunk)",
        _error_in_choice,
        {"code": 502, "error_type": "provider_unavailable"},
    ),
    _fault("choices_empty", "sends no choices; `value`: empty (a list) or null", _choices, {"value": "empty"}),
    _fault("verdict", "answers with a safety verdict; `form`: 0 to 6, null: random", _verdict, {"form": None}),
    _fault("leaked_reasoning", "sends its thoughts instead of an answer", _leaked),
    _fault("charged", "charges for the answer", _charged, {"cost": 0.0001}, loses=False),
    _fault("paid_model", "lets a paid model answer", _paid_model, {"id": ""}, loses=False),
    _fault("content_parts", "sends the content as a list of parts", _parts, loses=False),
    _fault(
        "without", "leaves out a `member` of the body: usage, model, id, …", _without, {"member": "usage"}, loses=False
    ),
    _fault("tool_arguments", "breaks the JSON of tool arguments", _tool_arguments, loses=False),
    *map(_from_text_fault, text_faults.TEXT_FAULTS),
)
