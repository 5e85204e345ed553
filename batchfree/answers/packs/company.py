"""Which rows may share one request, and how many of them fit into it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from batchfree.answers.instructions import SYSTEM_ROLES
from batchfree.answers.packs.compose import TOKENS_FOR_THINKING, pack_token_limits
from batchfree.answers.rule import AnswerRule
from batchfree.answers.strict_json import canonical
from batchfree.core.chat import ChatRequest, Json, JsonObject
from batchfree.core.tokens import estimate_tokens

UNFIT_PARAMETERS: Mapping[str, str] = {
    "tools": "it offers tools",
    "functions": "it offers tools",
    "response_format": "it has a response_format of its own",
    "stop": "it has stop sequences, which would end the reply after the first row",
    "logit_bias": "it has logit_bias",
    "logprobs": "it has logprobs, which belong to one answer",
    "modalities": "it has modalities",
    "audio": "it has audio",
    "prediction": "it has a prediction",
    "stream": "it has a stream",
    "plugins": "it has plugins",
}
"""Request parameters that belong to one answer, each with the reason why the row is asked alone."""
UNFIT_PARTS: Mapping[str, str] = {
    "image_url": "images", "image": "images", "input_audio": "audio", "audio": "audio", "file": "files",
    "video_url": "videos",
}  # fmt: skip
SHARE_OF_CONTEXT = 0.25
"""Share of a model's context that the prompt of a pack may fill."""
TOKENS_OF_A_MESSAGE = 16
"""Tokens that a row's element adds to its text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alone:
    """A row that can't share a request; `reason` is a clause such as `it offers tools`."""

    reason: str


def company_key(request: ChatRequest, rule: AnswerRule) -> str | Alone:
    """Rows with equal keys may share a request. Their parameters are equal, and all their messages but the last."""
    reason = _obstacle(request, rule)
    if reason is not None:
        return Alone(reason=reason)
    shared = canonical([request.messages[:-1], dict(request.parameters)])
    return hashlib.blake2b(shared.encode(), digest_size=16).hexdigest()


def _obstacle(request: ChatRequest, rule: AnswerRule) -> str | None:
    if rule.labels is None and rule.schema is None:
        return "its answer is free text: a pack needs answer.labels or answer.schema"
    if rule.tools:
        return "it offers tools"
    for name, reason in UNFIT_PARAMETERS.items():
        if not _is_unset(request.parameters.get(name)):
            return reason
    if request.parameters.get("n") not in (None, 1):
        return "it asks for several answers (n)"
    *before, last = [str(message.get("role")) for message in request.messages] or [""]
    if last != "user" or any(role not in SYSTEM_ROLES for role in before):
        return "it has several turns"
    return next(filter(None, map(_unfit_content, request.messages)), None)


def _is_unset(value: Json) -> bool:
    return value in (None, False, [], {})


def _unfit_content(message: JsonObject) -> str | None:
    content = message.get("content")
    if isinstance(content, str):
        return None
    for part in content if isinstance(content, list) else [None]:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            kind = part.get("type") if isinstance(part, dict) else None
            return f"it has {UNFIT_PARTS.get(str(kind), 'content other than text')}"
    return None


def rows_that_fit(
    requests: Sequence[ChatRequest], *, contexts: Iterable[int | None], outputs: Iterable[int | None]
) -> int:
    """How many of these requests, from the first on, one request may carry; at least one. All have one company key.

    `contexts` and `outputs` are the limits in tokens of every model that may answer; None for an unknown limit. The
    rows fill at most a quarter of the smallest context. If each row has a limit of output tokens, the sum of these
    limits fits into the output limit of every model and into the rest of its context.
    """
    known = [each for each in contexts if each]
    shared = sum(map(_text_tokens, requests[0].messages[:-1]))
    room = min((int(each * SHARE_OF_CONTEXT) for each in known), default=None)
    count = _count_within(room, shared, [_row_tokens(request) for request in requests])
    output_room = [*(each - int(each * SHARE_OF_CONTEXT) for each in known), *(each for each in outputs if each)]
    most = _most_answers(requests[0].parameters, min(output_room, default=None))
    return count if most is None else max(1, min(count, most))


def _count_within(room: int | None, shared: int, rows: Sequence[int]) -> int:
    """The number of rows, given in tokens, that fit into `room` tokens beside the `shared` ones; at least one."""
    if room is None:
        return len(rows)
    total, count = shared, 0
    for each in rows:
        total += each
        if total > room:
            break
        count += 1
    return max(1, count)


def _row_tokens(request: ChatRequest) -> int:
    return _text_tokens(request.messages[-1]) + TOKENS_OF_A_MESSAGE


def _text_tokens(message: JsonObject) -> int:
    content = message.get("content")
    texts = [content] if isinstance(content, str) else [str(part.get("text", "")) for part in content or ()]
    return sum(map(estimate_tokens, texts))


def _most_answers(parameters: Mapping[str, Json], room: int | None) -> int | None:
    """The number of answers that fit into `room` output tokens; None if the rows set no limit of tokens."""
    limits = [limit for _, limit in pack_token_limits(parameters, 1)]
    if room is None or not limits:
        return None
    return (room - TOKENS_FOR_THINKING) // (max(limits) - TOKENS_FOR_THINKING)
