"""What a response of the user's own server means beyond OpenRouter's protocol.

Such a server has few models and no pool behind it. A 429 that names a limit or a time to wait is a limit of the
account, as at OpenAI (docs, "Rate limits"). A reply that names no model comes from the model that was asked.
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from batchfree.core.chat import Completion, Failure, Judged, Kind

DAY_FROM_S = 600.0
"""A limit that lasts longer than this number of seconds counts as a limit of the day."""
RESPONSE_FORMAT = "response_format"
SLOW = "if the server is slow, raise retry.timeout, lower limits.concurrency or set request.max_tokens"
SAYS_SCHEMA = re.compile(r"response[ _]?format|json[ _]?(schema|object|mode)|structured|grammar|guided", re.IGNORECASE)
SAYS_LIMIT = re.compile(r"rate.?limit|too many requests|throttl|quota|\b[rt]pm\b|per (second|minute)", re.IGNORECASE)
SAYS_BUSY = re.compile(r"cooldown|overload|at capacity|is busy|queue is full|slots in use", re.IGNORECASE)
"""The server has too much to do, or LiteLLM pauses a failing server. That passes, and is not a limit of the account."""
SAYS_DAY = re.compile(r"\b(per|a|each|in one) day\b|\bdaily\b|\b[RT]PD\b", re.IGNORECASE)


def on_own_endpoint(judged: Judged, asked: str, now: float) -> Judged:
    """The response as it is meant on an endpoint of the user's own.

    `asked` is the model of the request; `now` is in epoch seconds.
    """
    if isinstance(judged, Completion):
        return judged if judged.model is not None else replace(judged, model=asked)
    if judged.kind is Kind.TIMEOUT:
        return replace(judged, message=f"{judged.message}; {SLOW}")
    seconds = _seconds_to_wait(judged, now)
    says_limit = seconds > 0 or any(words.search(judged.message) for words in (SAYS_LIMIT, SAYS_DAY))
    is_limit = judged.kind is Kind.MINUTE_LIMIT or (judged.kind is Kind.UPSTREAM_RATE_LIMIT and says_limit)
    if judged.status != 429 or not is_limit:
        return judged
    if SAYS_BUSY.search(judged.message):
        return replace(judged, kind=Kind.UPSTREAM_RATE_LIMIT)
    if seconds > DAY_FROM_S or SAYS_DAY.search(judged.message):
        return replace(judged, kind=Kind.DAY_LIMIT, limit=None)
    return replace(judged, kind=Kind.MINUTE_LIMIT)


def without_schema(judged: Judged) -> Judged:
    """The response to a request with a `response_format` that the job did not ask for.

    The model has never accepted one. If it refuses the request for whatever reason, the next request has none.
    """
    if not isinstance(judged, Failure) or judged.kind is not Kind.INVALID_REQUEST or judged.unsupported is not None:
        return judged
    return replace(judged, kind=Kind.MODEL_UNAVAILABLE, unsupported=RESPONSE_FORMAT)


def is_certain(unsupported: str | None, message: str) -> bool:
    """Whether a refusal itself says that the model takes no `response_format`; otherwise it is only a guess."""
    return unsupported != RESPONSE_FORMAT or SAYS_SCHEMA.search(message) is not None


def _seconds_to_wait(failure: Failure, now: float) -> float:
    mark = 0.0 if failure.resets_at is None else failure.resets_at - now
    return max(failure.retry_after or 0.0, mark)
