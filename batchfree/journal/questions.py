"""A row's question and its identity.

Answers belong to questions, rows point at them: equal questions are asked once, and an answer stands as long as its
question does. The digest covers the rendered messages, the request parameters and what counts as an answer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import msgspec

from batchfree.answers import AnswerRule
from batchfree.core.chat import ChatRequest

DIGEST_BYTES = 16
_canonical = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a row asks. `row` is the first row that asks it, counted from zero; `id` that row's own name, if any."""

    digest: str
    request: ChatRequest
    row: int
    id: str | None = None


def digest(request: ChatRequest, rule: AnswerRule) -> str:
    """The identity of a question: 128 bits of BLAKE2b as hex digits."""
    identity = [request.messages, dict(request.parameters), rule.labels, rule.schema]
    try:
        text = _canonical(identity)
    except (ValueError, OverflowError):  # halves of characters, and whole numbers beyond 64 bits
        text = json.dumps(identity, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=DIGEST_BYTES).hexdigest()
