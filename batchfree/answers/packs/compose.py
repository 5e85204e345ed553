"""Several rows → one request.

The form on the wire is fixed: the last user message holds an element `<row id="k3x9">…</row>` for every row, the reply
is one JSON object from codes to answers. Codes are drawn for every pack, so that no answer can be matched by its place.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from batchfree.answers.instructions import SYSTEM_ROLES, compact_json, json_format, label_list, with_system
from batchfree.answers.packs.schema_refs import definitions
from batchfree.answers.rule import AnswerRule
from batchfree.answers.strict_json import canonical
from batchfree.core.chat import ChatRequest, Json, JsonObject

LETTERS = "bcdfghjkmnpqrstvwxz"
SIGNS = LETTERS + "23456789"
CODE_LENGTH = 4
"""A code is a consonant and three consonants or digits, without those that look alike: 373,977 codes and no words."""

UNFIT_PARAMETERS: Mapping[str, str] = {
    "tools": "tools",
    "functions": "tools",
    "response_format": "a response_format of its own",
    "stop": "stop sequences, which would end the reply after the first row",
    "logit_bias": "logit_bias",
    "logprobs": "logprobs, which belong to one answer",
    "modalities": "modalities",
    "audio": "audio",
    "prediction": "a prediction",
    "stream": "a stream",
    "plugins": "plugins",
}
UNFIT_PARTS: Mapping[str, str] = {
    "image_url": "images", "image": "images", "input_audio": "audio", "audio": "audio", "file": "files",
    "video_url": "videos",
}  # fmt: skip
LIMITS_OF_TOKENS = ("max_tokens", "max_completion_tokens")
TOKENS_OF_A_PAIR = 16
"""Tokens for a code, quotes and commas around an answer."""
TOKENS_FOR_THINKING = 1024
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def obstacle(request: ChatRequest, rule: AnswerRule) -> str | None:
    """Why a row can't travel in a pack; None if it can."""
    if rule.labels is None and rule.schema is None:
        return "its answer is free text: a pack needs answer.labels or answer.schema"
    if rule.tools:
        return "it offers tools"
    for name, what in UNFIT_PARAMETERS.items():
        if request.parameters.get(name) not in (None, False, [], {}):
            return f"it has {what}" if name != "tools" else "it offers tools"
    if request.parameters.get("n") not in (None, 1):
        return "it asks for several answers (n)"
    *before, last = [str(message.get("role")) for message in request.messages] or [""]
    if last != "user" or any(role not in SYSTEM_ROLES for role in before):
        return "it has several turns"
    return next(filter(None, map(_unfit_content, request.messages)), None)


def _unfit_content(message: JsonObject) -> str | None:
    content = message.get("content")
    if isinstance(content, str):
        return None
    for part in content if isinstance(content, list) else [None]:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            kind = part.get("type") if isinstance(part, dict) else None
            return f"it has {UNFIT_PARTS.get(str(kind), 'content other than text')}"
    return None


def company(request: ChatRequest) -> str:
    """Rows with equal keys may share a request: the same system part and the same parameters."""
    shared = canonical([_system(request), dict(request.parameters)])
    return hashlib.blake2b(shared.encode(), digest_size=16).hexdigest()


def draw_codes(n: int, rng: random.Random) -> tuple[str, ...]:
    """`n` codes, any two of which differ in at least two places: a slip in one letter is no other row's code."""
    codes = list[str]()
    while len(codes) < n:
        code = rng.choice(LETTERS) + "".join(rng.choice(SIGNS) for _ in range(CODE_LENGTH - 1))
        if all(sum(map(str.__ne__, code, other)) > 1 for other in codes):
            codes.append(code)
    return tuple(codes)


def compose(requests: Sequence[ChatRequest], codes: Sequence[str], rule: AnswerRule, *, native: bool) -> ChatRequest:
    """One request for several rows of one company, each under its code.

    A limit of tokens is the row's own: it is multiplied, with room for JSON and for thinking. Where the job sets none,
    none is set: any number would be too small for a model that thinks at length, and services route a request with a
    limit to fewer models.
    """
    words = _wording(codes, rule)
    rows = zip(codes, requests, strict=True)
    body = "\n".join(f'<row id="{code}">{_in_xml(_prompt(request))}</row>' for code, request in rows)
    messages = (*with_system(_system(requests[0]), words), {"role": "user", "content": body})
    parameters = {**requests[0].parameters, **dict(_limits(requests[0].parameters, len(requests)))}
    if native:
        parameters["response_format"] = _format(codes, rule)
    return ChatRequest(messages=messages, parameters=parameters)


def _system(request: ChatRequest) -> tuple[JsonObject, ...]:
    return request.messages[:-1]


def _prompt(request: ChatRequest) -> str:
    content = request.messages[-1]["content"]
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _in_xml(text: str) -> str:
    """The text as XML can carry it; characters that it can't become U+FFFD."""
    return escape(NOT_IN_XML.sub("\ufffd", text))


def _limits(parameters: Mapping[str, Json], rows: int) -> Iterator[tuple[str, int]]:
    for name in LIMITS_OF_TOKENS:
        limit = parameters.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool):
            yield name, (limit + TOKENS_OF_A_PAIR) * rows + TOKENS_FOR_THINKING


def most_rows(parameters: Mapping[str, Json], room: int | None) -> int | None:
    """How many rows may share `room` tokens of output, where each has a limit of its own; None for any number."""
    limits = [limit for _, limit in _limits(parameters, 1)]
    if room is None or not limits:
        return None
    return (room - TOKENS_FOR_THINKING) // (max(limits) - TOKENS_FOR_THINKING)


def _wording(codes: Sequence[str], rule: AnswerRule) -> str:
    """The form of the reply in words, since not every model enforces schemas."""
    words = (
        f'The user message holds {len(codes)} rows, each in an element <row id="…">. They have nothing to do with '
        "one another: treat each row as if it were the only one. Answer with one JSON object and nothing else: no "
        "prose, no code fence. Its keys are the ids of the rows, every id exactly once and copied letter by letter; "
        "the value of a key is the answer to that row."
    )
    if rule.labels is not None:
        return f"{words} Every value is a string, exactly one of these labels:\n{label_list(rule.labels)}"
    return f"{words} Every value must satisfy this JSON Schema:\n{compact_json(rule.schema)}"


def _format(codes: Sequence[str], rule: AnswerRule) -> JsonObject:
    """`response_format` for one object with every code as a required property (OpenRouter docs, structured outputs)."""
    schema: JsonObject = {"type": "string", "enum": list(rule.labels)} if rule.labels is not None else rule.schema or {}
    whole = {
        "type": "object",
        "properties": {code: {"$ref": "#/$defs/answer"} for code in codes},
        "required": list(codes),
        "additionalProperties": False,
        "$defs": definitions(schema),
    }
    return json_format("answers", whole, strict=True)
