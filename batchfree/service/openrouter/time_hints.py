"""The times that an error names: when a limit resets, how long to wait, and what is left of a limit.

The facts come from the headers and the JSON of OpenRouter, of OpenAI and of gateways such as LiteLLM, and from words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from batchfree.core.chat import Json
from batchfree.service.openrouter.evidence import Evidence
from batchfree.service.openrouter.lenient import (
    as_count,
    as_number,
    as_text,
)

PASSED_ON = "llm_provider-"
"""LiteLLM's prefix of the headers that it passes on from the provider behind it."""
MILLISECONDS_FROM = 1e12
"""A reset time above this is in epoch milliseconds."""
SECONDS_FROM = 1e9
"""A reset time from here on is in epoch seconds, a smaller one in seconds from now."""
HINT = re.compile(
    r"(?:try again|retry|wait|resets?)\D{0,30}?"
    r"((?:\d+(?:\.\d+)? ?(?:ms|h(?:ours?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)(?![a-z]) ?)+)",
    re.IGNORECASE,
)
"""A waiting time in words, such as `Please try again in 1m7.5s` or `retry after 20 seconds`."""
UNIT = re.compile(r" ?(ms|[hms])[a-z]* ?")
HINTED = (429, 503)
"""The statuses whose text may name a waiting time."""
_NUMBER = r"(\d{1,9}(?:\.\d{1,9})?)"
DURATION = re.compile(rf"(?:{_NUMBER}d)?(?:{_NUMBER}h)?(?:{_NUMBER}m)?(?:{_NUMBER}s)?(?:{_NUMBER}ms)?")
DURATION_UNITS = (86_400.0, 3600.0, 60.0, 1.0, 0.001)
"""Seconds of the units in `DURATION`, in their order."""


def resets_at(evidence: Evidence) -> float | None:
    """The reset time of a limit or budget in epoch seconds; None if the service names none."""
    mark = as_number(evidence.limit_header("x-ratelimit-reset"))
    if mark is not None and mark >= SECONDS_FROM:
        return mark / 1000 if mark > MILLISECONDS_FROM else mark
    for value in (evidence.metadata.get("resets_at"), evidence.limit_header("retry-after")):
        if (moment := _epoch_seconds(value)) is not None:
            return moment
    return None


def retry_after(evidence: Evidence) -> float | None:
    """The seconds that the service asks to wait, from any of the usual places; None if there are none."""
    reset = as_number(evidence.limit_header("x-ratelimit-reset"))
    milliseconds = as_number(evidence.limit_header("retry-after-ms"))
    hints = (
        None if milliseconds is None else milliseconds / 1000,
        as_number(evidence.limit_header("retry-after")),
        as_number(evidence.limit_header(PASSED_ON + "retry-after")),
        as_number(evidence.metadata.get("retry_after_seconds")),
        as_number(evidence.availability.get("retry_after")),
        reset if reset is not None and reset < SECONDS_FROM else None,
        max((limit.resets_in for limit in gateway_limits(evidence) if limit.remaining == 0), default=None),
        _hint_in_words(evidence.text) if evidence.status in HINTED else None,
    )
    return next((hint for hint in hints if hint is not None and 0 <= hint < SECONDS_FROM), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayLimit:
    """One of the limits in the headers of OpenAI and of gateways that copy it; `resets_in` in seconds."""

    what: str
    """`requests` or `tokens`."""
    allowed: int | None
    remaining: int | None
    resets_in: float


def gateway_limits(evidence: Evidence) -> tuple[GatewayLimit, ...]:
    """The limits of requests and of tokens, as far as headers name them (OpenAI docs, "Rate limits in headers").

    They are `x-ratelimit-limit-requests`, `x-ratelimit-remaining-requests`, `x-ratelimit-reset-requests: 6m0s`, …
    """
    found = []
    for what in ("requests", "tokens"):
        allowed, remaining, resets = (
            evidence.limit_header(f"x-ratelimit-{fact}-{what}") for fact in ("limit", "remaining", "reset")
        )
        if allowed is not None or remaining is not None or resets is not None:
            seconds = parse_duration(resets or "") or 0.0
            found.append(
                GatewayLimit(what=what, allowed=as_count(allowed), remaining=as_count(remaining), resets_in=seconds)
            )
    return tuple(found)


def parse_duration(text: str) -> float | None:
    """The seconds of a duration such as `1h2m3.5s`, `20ms` or `7`; None for another text."""
    if (seconds := as_number(text)) is not None:
        return seconds if 0 <= seconds < SECONDS_FROM else None
    parts = DURATION.fullmatch(text.strip())
    if parts is None or not any(parts.groups()):
        return None
    return sum(float(number) * unit for number, unit in zip(parts.groups(), DURATION_UNITS, strict=True) if number)


def _hint_in_words(text: str) -> float | None:
    found = HINT.search(text)
    return None if found is None else parse_duration(UNIT.sub(r"\1", found[1].lower()))


def _epoch_seconds(value: Json) -> float | None:
    """Epoch seconds from an ISO 8601 date, an HTTP date, or a number of epoch seconds or milliseconds."""
    number = as_number(value)
    if number is not None:
        return (number / 1000 if number > MILLISECONDS_FROM else number) if number >= SECONDS_FROM else None
    text = as_text(value) or ""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError, OSError):
            continue
    return None
