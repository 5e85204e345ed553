"""Additions to a request that make its reply readable: the form of the answer in words, and `response_format`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache

from batchfree.answers.per_schema import once_per_schema
from batchfree.answers.rule import AnswerRule, Complaint
from batchfree.core.chat import ChatRequest, Json, JsonObject

MAX_SHOWN_ANSWER = 2000
SYSTEM_ROLES = ("system", "developer")
_NOT_STRICT = """
    allOf anyOf oneOf not if then else dependentRequired dependentSchemas patternProperties unevaluatedProperties
    unevaluatedItems prefixItems contains propertyNames minProperties maxProperties uniqueItems $dynamicRef
"""
NOT_STRICT = frozenset(_NOT_STRICT.split())
"""Keywords that a strict schema must not have (OpenAI docs, structured outputs); `anyOf` may stand below the root."""


@lru_cache(maxsize=8)
def label_list(labels: tuple[str, ...]) -> str:
    """The labels as a list with one label per line."""
    return "\n".join(f"- {' '.join(label.split())}" for label in labels)


def compact_json(value: Json) -> str:
    """JSON on one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _instruction(rule: AnswerRule, *, native: bool) -> str | None:
    """The form of the answer to one question in words; None if any text is an answer."""
    if rule.labels is not None:
        if native:
            form = 'Answer with a JSON object {"label": "…"} and nothing else. Its label is exactly one of:'
            return f"{form}\n{label_list(rule.labels)}"
        return f"Answer with exactly one of these labels and nothing else:\n{label_list(rule.labels)}"
    if rule.schema is not None:
        return _in_words(rule.schema)
    return None


@once_per_schema
def _in_words(schema: JsonObject) -> str:
    return (
        "Answer with one JSON value and nothing else: no prose, no code fence. "
        f"It must satisfy this JSON Schema:\n{compact_json(schema)}"
    )


def json_format(name: str, schema: JsonObject, *, strict: bool) -> JsonObject:
    """`response_format` for a schema (OpenRouter docs, structured outputs)."""
    return {"type": "json_schema", "json_schema": {"name": name, "strict": strict, "schema": schema}}


def _answer_format(rule: AnswerRule) -> JsonObject | None:
    """The `response_format` of one question, strict if the schema allows it; None if any text is an answer."""
    if rule.labels is not None:
        label = {"type": "string", "enum": list(rule.labels)}
        schema = {
            "type": "object", "properties": {"label": label}, "required": ["label"], "additionalProperties": False,
        }  # fmt: skip
        return json_format("answer", schema, strict=True)
    return None if rule.schema is None else _schema_format(rule.schema)


@once_per_schema
def _schema_format(schema: JsonObject) -> JsonObject:
    return json_format("answer", schema, strict=schema.get("type") == "object" and _is_strict(schema))


def _is_strict(schema: Json) -> bool:
    """Whether a schema keeps the rules of strict mode: closed objects, every property required, no keyword of the list.

    The rules are OpenAI's (docs, structured outputs, supported schemas).
    """
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        properties = schema.get("properties")
        if schema.get("additionalProperties") is not False or not isinstance(properties, dict):
            return False
        if set(properties) != set(schema.get("required") or ()):
            return False
    if not NOT_STRICT.isdisjoint(schema):
        return set(schema) & NOT_STRICT == {"anyOf"} and schema.get("type") != "object" and _is_strict(schema["anyOf"])
    named = [each for key in ("properties", "$defs", "definitions") for each in (schema.get(key) or {}).values()]
    return all(map(_is_strict, named)) and _is_strict(schema.get("items"))


def with_system(messages: Sequence[JsonObject], instruction: str | None) -> tuple[JsonObject, ...]:
    """The messages with the instruction at the end of the system message. If there is none, a new one is added."""
    if instruction is None:
        return tuple(messages)
    for place, message in enumerate(messages):
        if message.get("role") in SYSTEM_ROLES:
            changed = {**message, "content": _with_text(message.get("content"), instruction)}
            return (*messages[:place], changed, *messages[place + 1 :])
    return ({"role": "system", "content": instruction}, *messages)


def _with_text(content: Json, text: str) -> Json:
    if isinstance(content, list):
        return [*content, {"type": "text", "text": text}]
    return f"{content.rstrip()}\n\n{text}" if isinstance(content, str) and content.strip() else text


def _reask_messages(complaint: Complaint) -> tuple[JsonObject, ...]:
    """The earlier answer as the model's message, and what is wrong with it as the user's."""
    answer = complaint.answer.strip() or "(no answer)"
    shown = answer if len(answer) <= MAX_SHOWN_ANSWER else answer[:MAX_SHOWN_ANSWER] + "…"
    error = complaint.error.strip().rstrip(".")
    plea = f"This answer could not be used: {error}. Answer again, in the form asked for and with nothing else."
    return ({"role": "assistant", "content": shown}, {"role": "user", "content": plea})


def compose(request: ChatRequest, rule: AnswerRule, *, native: bool, complaint: Complaint | None = None) -> ChatRequest:
    """The request for one question with the form of its answer added, in words and, if `native`, as `response_format`.

    `complaint` adds an earlier answer and what is wrong with it. A `response_format` of the job's own is kept.
    """
    form = _answer_format(rule) if native and "response_format" not in request.parameters else None
    messages = with_system(request.messages, _instruction(rule, native=form is not None))
    if complaint is not None:
        messages = (*messages, *_reask_messages(complaint))
    parameters = dict(request.parameters) if form is None else {**request.parameters, "response_format": form}
    return ChatRequest(messages=messages, parameters=parameters)


def wants_native(rule: AnswerRule, *, packed: bool, own: bool = False) -> bool:
    """Whether `response_format` is sent to a model that lists it; see `answer.mode` in the job spec.

    `own` says that the models are the user's own. They get it for single labels too, since small models answer far
    better with it.
    """
    if rule.mode == "prompt" or (rule.labels is None and rule.schema is None):
        return False
    return rule.mode == "native" or (not rule.tools and (packed or own or rule.schema is not None))
