"""The words of one exchange: what is asked, what was answered, and how it failed.

Field names follow OpenAI's chat completions; `ErrorKind` is the vocabulary of the output column `error_kind`,
`Kind` adds what is never a row's failure: limits of the account, and what only a person can mend.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Json: TypeAlias = Any
JsonObject: TypeAlias = dict[str, Any]


class Kind(StrEnum):
    """Why an attempt failed."""

    INVALID_REQUEST = "invalid_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_POLICY = "content_policy"
    REFUSED = "refused"
    BAD_ANSWER = "bad_answer"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    NOT_CHAT = "not_chat"
    MODEL_UNAVAILABLE = "model_unavailable"
    UPSTREAM_RATE_LIMIT = "upstream_rate_limit"
    UPSTREAM_ERROR = "upstream_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BAD_RESPONSE = "bad_response"
    RENDER = "render"
    TIED = "tied"
    # The account's: nobody's failure, never in the table.
    MINUTE_LIMIT = "minute_limit"
    DAY_LIMIT = "day_limit"
    # A person's: the run can't go on without one.
    KEY_REFUSED = "key_refused"
    CREDITS_OWED = "credits_owed"
    PRIVACY_SETTING = "privacy_setting"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """What is asked: messages, and the parameters that go with them under OpenAI's names (no `model`)."""

    messages: tuple[JsonObject, ...]
    parameters: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool call in a reply; `arguments` as the model wrote them: JSON text, hopefully."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one request in the provider's own count, and its price in USD (must be 0)."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A reply with something in it: text or tool calls. Whether it is an answer is another question."""

    model: str | None
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    provider: str | None = None
    finish_reason: str | None = None
    request_id: str | None = None
    usage: Usage = Usage()
    router: JsonObject | None = None
    """`openrouter_metadata`, where the service sent it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An attempt that brought no reply to read: a fact to be recorded, not an exception.

    `message` is one sentence without keys or account ids. `retry_after` is the service's hint in seconds,
    `resets_at` its mark in epoch seconds; neither is capped yet.
    """

    kind: Kind
    message: str
    status: int | None = None
    model: str | None = None
    provider: str | None = None
    finish_reason: str | None = None
    request_id: str | None = None
    usage: Usage = Usage()
    retry_after: float | None = None
    resets_at: float | None = None
    limit: int | None = None
    """The limit that a 429 of the account named: requests per minute or per day, by `kind`."""
    permanent: bool = False
    """The model will not answer this account in this run: it is gone, gated, or its free variant ended."""
    unsupported: str | None = None
    """The request parameter that the model refused, where the error names one (`response_format`, …)."""
    content: str = ""
    """What the model said before it failed, for the record."""
    router: JsonObject | None = None


Judged: TypeAlias = Completion | Failure
