"""Writes one request for several rows.

The last user message holds one element `<row id="k3x9">…</row>` per row. The reply is one JSON object from codes to
answers. Every pack gets new random codes, so no answer can be matched by its position.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from batchfree.answers.instructions import compact_json, json_format, label_list, with_system
from batchfree.answers.packs.schema_refs import definitions
from batchfree.answers.rule import AnswerRule
from batchfree.core.chat import ChatRequest, Json, JsonObject

LETTERS = "bcdfghjkmnpqrstvwxz"
SIGNS = LETTERS + "23456789"
CODE_LENGTH = 4
"""A code is one consonant and three consonants or digits: 373,977 codes. No two signs look alike, and no code is a
word."""

TOKEN_LIMITS = ("max_tokens", "max_completion_tokens")
TOKENS_OF_A_PAIR = 16
"""Tokens of the code, the quotes and the comma around one answer."""
TOKENS_FOR_THINKING = 1024
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def draw_codes(n: int, rng: random.Random) -> tuple[str, ...]:
    """Draws `n` codes. Any two differ in at least two places, so one wrong letter never turns a code into another."""
    codes = list[str]()
    while len(codes) < n:
        code = rng.choice(LETTERS) + "".join(rng.choice(SIGNS) for _ in range(CODE_LENGTH - 1))
        if all(sum(map(str.__ne__, code, other)) > 1 for other in codes):
            codes.append(code)
    return tuple(codes)


def compose(requests: Sequence[ChatRequest], codes: Sequence[str], rule: AnswerRule, *, native: bool) -> ChatRequest:
    """One request for several rows with one company key, each under its code.

    A limit of tokens in the job counts for one row. It is multiplied by the number of rows, with room for JSON and
    thinking. If the job sets no limit, the pack has none either: any number would be too small for a model that thinks
    at length, and the service routes a request with a limit to fewer models.
    """
    first = requests[0]
    instruction = _pack_instruction(codes, rule)
    rows = zip(codes, requests, strict=True)
    body = "\n".join(f'<row id="{code}">{_xml_text(_prompt(request))}</row>' for code, request in rows)
    messages = (*with_system(first.messages[:-1], instruction), {"role": "user", "content": body})
    parameters = {**first.parameters, **dict(pack_token_limits(first.parameters, len(requests)))}
    if native:
        parameters["response_format"] = _pack_format(codes, rule)
    return ChatRequest(messages=messages, parameters=parameters)


def _prompt(request: ChatRequest) -> str:
    content = request.messages[-1]["content"]
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content)


def _xml_text(text: str) -> str:
    """The text escaped for XML; characters that XML does not allow become U+FFFD."""
    return escape(NOT_IN_XML.sub("\ufffd", text))


def pack_token_limits(parameters: Mapping[str, Json], rows: int) -> Iterator[tuple[str, int]]:
    """Name and value of each limit of output tokens among the parameters, for a pack of `rows` rows."""
    for name in TOKEN_LIMITS:
        limit = parameters.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool):
            yield name, (limit + TOKENS_OF_A_PAIR) * rows + TOKENS_FOR_THINKING


def _pack_instruction(codes: Sequence[str], rule: AnswerRule) -> str:
    """The form of the reply in words, because not every model enforces schemas."""
    form = (
        f'The user message holds {len(codes)} rows, each in an element <row id="…">. They have nothing to do with '
        "one another: treat each row as if it were the only one. Answer with one JSON object and nothing else: no "
        "prose, no code fence. Its keys are the ids of the rows, every id exactly once and copied letter by letter; "
        "the value of a key is the answer to that row."
    )
    if rule.labels is not None:
        return f"{form} Every value is a string, exactly one of these labels:\n{label_list(rule.labels)}"
    return f"{form} Every value must satisfy this JSON Schema:\n{compact_json(rule.schema)}"


def _pack_format(codes: Sequence[str], rule: AnswerRule) -> JsonObject:
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
