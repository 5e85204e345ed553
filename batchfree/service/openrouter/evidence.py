"""The facts of an error, gathered from the envelopes that OpenRouter and its providers are known to use.

The shapes are those of OpenRouter's errors page and of recorded traffic: `error` may be an object, a text, or the
provider's own JSON as a text in `metadata.raw`; the code may be a word; the headers may be part of the body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from batchfree.core.chat import Json, JsonObject
from batchfree.core.routes import FREE_ROUTER
from batchfree.service.openrouter.lenient import document, header, listing, number, table, word
from batchfree.service.openrouter.masking import name, sentence

MILLISECONDS_FROM = 1e12
"""Reset marks are epoch milliseconds above this, epoch seconds down to a billion, and seconds from now below that."""
SECONDS_FROM = 1e9

SAYS_NOTHING = re.compile(r"\s*(provider returned error|internal server error|error|unknown error)?\W*", re.IGNORECASE)
UPSTREAM_WORDS = re.compile(r"^\s*(provider returned error|upstream error from)", re.IGNORECASE)
NAMED = re.compile(r"(?<![A-Za-z0-9._/~@-])[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+:free(?![A-Za-z0-9:/@])")
CAUSE_KEYS = ("message", "detail", "error", "msg", "reason", "error_message", "errors")

STATUS_OF_TYPE = {
    **dict.fromkeys(("authentication", "invalid_api_key"), 401),
    "payment_required": 402,
    "permission_denied": 403,
    "not_found": 404,
    "precondition_failed": 412,
    "payload_too_large": 413,
    "unprocessable": 422,
    **dict.fromkeys(("rate_limit_exceeded", "rate_limit_error", "too_many_requests"), 429),
    **dict.fromkeys(("server", "server_error", "unmapped", "internal_error"), 500),
    "provider_unavailable": 502,
    **dict.fromkeys(("provider_overloaded", "overloaded", "overloaded_error", "service_unavailable"), 503),
    "timeout": 504,
    **dict.fromkeys(("invalid_request", "invalid_request_error", "invalid_prompt", "bad_request", "zoderror"), 400),
}
"""The status that a word stands for, where an error has no number of its own."""
UNKNOWN_STATUS = 502
LONGEST_TEXT = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """An error as it was told. `status` is the error's own code where it has one, else the response's.

    `text` is everything that was said, to search in; `cause` the most telling part, masked, to show.
    """

    status: int
    text: str = ""
    cause: str = ""
    error_type: str = ""
    metadata: JsonObject = field(default_factory=dict)
    availability: JsonObject = field(default_factory=dict)
    provider: str | None = None
    model: str | None = None
    in_reply: bool = False
    """It came on a 200, so that the account's own limits and checks had been passed."""
    readable: bool = True
    """It was JSON with an error in it."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def upstream(self) -> bool:
        """Whether a provider said it, and not the service."""
        return self.provider is not None or UPSTREAM_WORDS.match(self.text) is not None

    def stated(self, name: str) -> str | None:
        """A rate-limit header, which may stand in the body or on the response."""
        return header(table(self.metadata.get("headers")), name) or header(self.headers, name)


def gather(status: int, headers: Mapping[str, str], payload: JsonObject, error: Json) -> Evidence:
    """The facts of `error`, found in `payload` of a response with this status."""
    told = table(error)
    details = table(told.get("metadata"))
    kind = word(details.get("error_type")) or word(told.get("type")) or word(told.get("name")) or ""
    message = (word(error) or word(told.get("message")) or _cause_in(told.get("message") or error) or "")[:LONGEST_TEXT]
    raw = (word(details.get("raw")) or _cause_in(details.get("raw")) or "")[:LONGEST_TEXT]
    text = "\n".join(part for part in (message, raw, _earlier(details)) if part)
    return Evidence(
        status=_code(told.get("code"), kind, status),
        text=text,
        cause=_cause(message, raw, word(details.get("provider_name"))),
        error_type=(kind or word(told.get("code")) or "").lower(),
        metadata=details,
        availability=table(told.get("availability")),
        provider=name(details.get("provider_name")),
        model=named_model(text) or _slug(details) or _attempted(payload),
        in_reply=status < 400,
        headers=headers,
    )


def _code(code: Json, kind: str, status: int) -> int:
    own = number(code)
    if own is not None and 400 <= own < 600:
        return int(own)
    known = STATUS_OF_TYPE.get(str(code).lower()) or STATUS_OF_TYPE.get(kind.lower())
    return status if status >= 400 else known or UNKNOWN_STATUS


def named_model(text: str) -> str | None:
    """The free model that a text names. A paid one is never read out of a text."""
    return next((each for each in NAMED.findall(text) if each != FREE_ROUTER), None)


def _slug(details: JsonObject) -> str | None:
    return named_model(word(details.get("model_slug")) or "")


def _attempted(payload: JsonObject) -> str | None:
    """The model that the router's metadata says it tried last."""
    router = table(payload.get("openrouter_metadata"))
    tried = [table(each).get("model") for each in listing(router.get("attempts"))]
    chosen = listing(table(router.get("endpoints")).get("available"))
    tried = tried or [table(each).get("model") for each in chosen if table(each).get("selected") is True]
    return named_model(word(tried[-1]) or "") if tried else None


def _earlier(details: JsonObject) -> str:
    """What the attempts before the last one said, of which providers and codes tell nothing."""
    earlier = (word(table(each).get("message")) or "" for each in listing(details.get("previous_errors"))[:3])
    return " ".join(earlier)[:LONGEST_TEXT]


def _cause(message: str, raw: str, provider: str | None) -> str:
    """What to show: the message, or what the provider really said where the message says nothing."""
    inner = _cause_in(document(raw)) or raw
    told = inner if inner and SAYS_NOTHING.fullmatch(message) else _cause_in(document(message)) or message
    return sentence(f"{provider}: {told}" if provider and told and inner == told else told)


def _cause_in(value: Json, depth: int = 0) -> str | None:
    """The sentence inside a nested error, under any of its usual names."""
    if depth > 6:
        return None
    if isinstance(value, str):
        return _cause_in(document(value), depth + 1) or word(value) if value.lstrip()[:1] in ("{", "[") else word(value)
    within: Iterator[Json] = iter(())
    if isinstance(value, dict):
        within = (value[key] for key in CAUSE_KEYS if key in value)
    elif isinstance(value, list):
        within = iter(value[:3])
    return next((found for each in within if (found := _cause_in(each, depth + 1))), None)


def resets_at(evidence: Evidence) -> float | None:
    """The moment, in epoch seconds, that the service names for a limit or a budget."""
    mark = number(evidence.stated("x-ratelimit-reset"))
    if mark is not None and mark >= SECONDS_FROM:
        return mark / 1000 if mark > MILLISECONDS_FROM else mark
    for told in (evidence.metadata.get("resets_at"), evidence.stated("retry-after")):
        if (moment := _moment(told)) is not None:
            return moment
    return None


def retry_after(evidence: Evidence) -> float | None:
    """Seconds that the service asks to wait, wherever it says so."""
    reset = number(evidence.stated("x-ratelimit-reset"))
    hints = (
        number(evidence.stated("retry-after")),
        number(evidence.metadata.get("retry_after_seconds")),
        number(evidence.availability.get("retry_after")),
        reset if reset is not None and reset < SECONDS_FROM else None,
    )
    return next((hint for hint in hints if hint is not None and 0 <= hint < SECONDS_FROM), None)


def _moment(told: Json) -> float | None:
    """Epoch seconds of a date in ISO 8601 or as in an HTTP header, or of a number of (milli)seconds."""
    value = number(told)
    if value is not None:
        return (value / 1000 if value > MILLISECONDS_FROM else value) if value >= SECONDS_FROM else None
    text = word(told) or ""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError, OSError):
            continue
    return None
