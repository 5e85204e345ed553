"""Refusals that a client gets instead of an answer, in the shapes of OpenRouter and OpenAI.

Sources: OpenRouter docs, pages "Errors" and "Limits", and recorded bodies of its 429s; OpenAI API reference, "Errors".
Every refusal has the header `x-should-retry: false`. Without it OpenAI's SDKs would ask twice more, although each call
was already tried on several models.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from batchfree.core.chat import Failure, Json, JsonObject, Kind
from batchfree.core.consequences import CONSEQUENCES, Consequence
from batchfree.core.stops import Stopped, StopReason

INVALID = "invalid_request_error"
"""OpenAI's type of an error that the request itself causes."""
SOURCES = {"minute": "openrouter_free_tier_per_minute", "day": "openrouter_free_tier_daily"}
NAMES = {"minute": "free-models-per-min", "day": "free-models-per-day"}
LEAST_WAIT_S = 1
"""Smallest value of `Retry-After` in seconds. 0 would mean: at once."""
RETRY_DOWN_S = 60.0
"""Seconds after which a client may ask again while no model answers."""

STATUSES: Mapping[Kind, int] = MappingProxyType(
    {
        Kind.INVALID_REQUEST: 400,
        Kind.CONTEXT_LENGTH: 400,
        Kind.CONTENT_POLICY: 403,
        Kind.REFUSED: 403,
        Kind.BAD_ANSWER: 502,
        Kind.EMPTY: 502,
        Kind.TRUNCATED: 502,
        Kind.NOT_CHAT: 502,
        Kind.MODEL_UNAVAILABLE: 503,
        Kind.UPSTREAM_RATE_LIMIT: 429,
        Kind.UPSTREAM_ERROR: 502,
        Kind.TIMEOUT: 504,
        Kind.CONNECTION: 502,
        Kind.BAD_RESPONSE: 502,
        Kind.KEY_REFUSED: 503,
        Kind.CREDITS_OWED: 402,
        Kind.PRIVACY_SETTING: 503,
    }
)
"""The HTTP status of a call that ends with this kind of failure. A refused key is this server's, not the client's."""
STOP_STATUSES: Mapping[StopReason, int] = MappingProxyType(
    {
        StopReason.NO_MODEL: 404,
        StopReason.REQUEST: 400,
        StopReason.CREDITS_OWED: 402,
        StopReason.CHARGED: 402,
    }
)
"""The HTTP status of a call that ends because the router stops; 503 for all other reasons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRefusal:
    """A status, headers, and the contents of the error body."""

    status: int
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: JsonObject | None = None
    type: str | None = None
    """OpenAI's type of the error; None for the shape of OpenRouter."""
    code: str | None = None
    param: str | None = None

    def body(self) -> JsonObject:
        """The JSON body."""
        if self.type is not None:
            error: JsonObject = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        else:
            error = {"message": self.message, "code": self.status}
        return {"error": error | ({"metadata": self.metadata} if self.metadata else {})}

    def all_headers(self) -> dict[str, str]:
        """The headers with the one that keeps SDKs from asking again."""
        return {"x-should-retry": "false", **self.headers}

    def with_header(self, name: str, value: str) -> HttpRefusal:
        """The same refusal with one more header."""
        return replace(self, headers={**self.headers, name: value})


def invalid(message: str, param: str | None = None, *, status: int = 400, code: str | None = None) -> HttpRefusal:
    """A mistake in the request to the batch API, in the shape of OpenAI."""
    return HttpRefusal(status=status, message=message, type=INVALID, param=param, code=code)


def limit_refusal(reason: Literal["minute", "day"], *, limit: int | None, resets_at: float, now: float) -> HttpRefusal:
    """A 429 for a limit of the account. `resets_at` is when a request may start again, in epoch seconds."""
    reset = str(math.ceil(resets_at * 1000))
    quota = {"X-RateLimit-Limit": str(limit or 0), "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    metadata: Json = {
        "headers": quota,
        "limit_source": SOURCES[reason],
        "remedy_hint": "Retry after the time that X-RateLimit-Reset names.",
        "provider_name": None,
    }
    return HttpRefusal(
        status=429,
        message=f"Rate limit exceeded: {NAMES[reason]}. ",
        headers=quota | _retry_after(resets_at - now),
        metadata=metadata,
    )


def failure_refusal(failure: Failure) -> HttpRefusal:
    """The end of a call whose last attempt failed, with the failure's own sentence."""
    status = STATUSES[failure.kind]
    metadata: Json = {"kind": str(failure.kind), "provider_name": failure.provider, "model": failure.model}
    headers = _retry_after(failure.retry_after or LEAST_WAIT_S) if status in (429, 503) else {}
    message = failure.message
    if CONSEQUENCES[failure.kind] is Consequence.PERSON:
        message = f"the account of this server needs a person: {message}"
    return HttpRefusal(status=status, message=message, headers=headers, metadata=metadata)


def stop_refusal(stopped: Stopped, now: float) -> HttpRefusal:
    """The end of a call because the router has stopped for a reason other than a limit of the account."""
    status = STOP_STATUSES.get(stopped.reason, 503)
    seconds = RETRY_DOWN_S if stopped.until is None else stopped.until - now
    headers = _retry_after(seconds) if status == 503 else {}
    return HttpRefusal(status=status, message=stopped.message, headers=headers, metadata={"reason": stopped.reason})


def unavailable(message: str, seconds: float = RETRY_DOWN_S) -> HttpRefusal:
    """A 503; `seconds` until the client may ask again."""
    return HttpRefusal(status=503, message=message, headers=_retry_after(seconds))


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(LEAST_WAIT_S, math.ceil(seconds)))}
