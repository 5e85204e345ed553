"""One exchange with the service: the request, the completion, and the failure.

Field names follow OpenAI's chat completions. The values of `Kind` are those of the output column `error_kind`, and a
few more that are never the failure of a row: limits of the account, and problems that only a person can solve.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from batchfree.core.finish_reasons import Ending, ending_of

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
    # Limits of the account: no row and no model has failed. They never appear in the table.
    MINUTE_LIMIT = "minute_limit"
    DAY_LIMIT = "day_limit"
    # Problems that only a person can solve. The run stops.
    KEY_REFUSED = "key_refused"
    CREDITS_OWED = "credits_owed"
    PRIVACY_SETTING = "privacy_setting"


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Messages, and request parameters under OpenAI's names. The model is chosen later, so there is no `model`."""

    messages: tuple[JsonObject, ...]
    parameters: Mapping[str, Json] = msgspec.field(default_factory=dict)


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call in a reply. `arguments` is the text that the model wrote. It should be JSON, but may be anything."""

    name: str
    arguments: str


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one request as the provider counts them, and its price in USD, which must be 0."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float = 0.0


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that holds text or tool calls. Whether it is a valid answer is checked elsewhere."""

    model: str | None
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    provider: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    request_id: str | None = None
    usage: Usage = Usage()
    router: JsonObject | None = None
    """`openrouter_metadata`, if the service sent it."""

    @property
    def ending(self) -> Ending:
        """How the reply ended, according to the finish reasons of the service and of the provider."""
        return ending_of(self.finish_reason, self.native_finish_reason)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an attempt has no usable reply: a fact to be recorded, not an exception.

    `message` is one sentence without keys and account ids. `retry_after` is the service's hint in seconds, `resets_at`
    the time that it named in epoch seconds. Neither is capped yet.
    """

    kind: Kind
    message: str
    status: int | None = None
    model: str | None = None
    provider: str | None = None
    finish_reason: str | None = None
    native_finish_reason: str | None = None
    request_id: str | None = None
    usage: Usage = Usage()
    retry_after: float | None = None
    resets_at: float | None = None
    limit: int | None = None
    """The limit that a 429 for the account named: requests per minute or per day, depending on `kind`."""
    permanent: bool = False
    """Whether the model can't answer this account during this run: it is gone or gated, or it is no longer free."""
    unsupported: str | None = None
    """The request parameter that the model refused, such as `response_format`, if the error names one."""
    unsent: bool = False
    """Whether the request never reached the service: no connection came about."""
    content: str = ""
    """What the model wrote before it failed, for the journal."""
    router: JsonObject | None = None
    """`openrouter_metadata`, if the service sent it."""


Judged: TypeAlias = Completion | Failure
