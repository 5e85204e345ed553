"""The question of a row, and the digest that identifies it.

Answers belong to questions, not to rows: equal questions are asked once, and an answer is valid as long as the
question stays the same. The digest covers the rendered messages, the request parameters and the rules for an answer.
"""

from __future__ import annotations

import hashlib
import json

import msgspec

from batchfree.answers import AnswerRule
from batchfree.core.chat import ChatRequest

DIGEST_BYTES = 16
_canonical = msgspec.json.Encoder(order="sorted").encode


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a row asks. `row` (counted from zero) and `id` belong to the first row with this question."""

    digest: str
    request: ChatRequest
    row: int
    id: str | None = None


def digest(request: ChatRequest, rule: AnswerRule) -> str:
    """The digest of a question: 128 bits of BLAKE2b as 32 hex digits."""
    identity = [request.messages, dict(request.parameters), rule.labels, rule.schema]
    try:
        text = _canonical(identity)
    except (ValueError, OverflowError):  # msgspec refuses lone surrogates and integers beyond 64 bits
        text = json.dumps(identity, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=DIGEST_BYTES).hexdigest()
