"""The facts about an error, gathered from the JSON formats that OpenRouter and its providers use.

The formats come from OpenRouter's errors page and from recorded traffic: `error` may be an object or a text, the
provider's own JSON may be a text in `metadata.raw`, the code may be a word, and the headers may be in the body.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from batchfree.core.chat import Json, JsonObject
from batchfree.core.routes import FREE_ROUTER
from batchfree.service.openrouter.complaints import first_sentence
from batchfree.service.openrouter.lenient import (
    as_list,
    as_number,
    as_object,
    as_text,
    find_header,
    parse_json,
)
from batchfree.service.openrouter.masking import masked_name, one_line

SAYS_NOTHING = re.compile(r"\s*(provider returned error|internal server error|error|unknown error)?\W*", re.IGNORECASE)
UPSTREAM_WORDS = re.compile(r"^\s*(provider returned error|upstream error from)", re.IGNORECASE)
NAMED = re.compile(r"(?<![A-Za-z0-9._/~@-])[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+:free(?![A-Za-z0-9:/@])")

STATUS_OF_TYPE = {
    **dict.fromkeys(("authentication", "authentication_error", "unauthenticated", "invalid_api_key"), 401),
    **dict.fromkeys(("payment_required", "insufficient_quota", "insufficient_balance"), 402),
    "permission_denied": 403,
    **dict.fromkeys(("not_found", "model_not_found"), 404),
    "precondition_failed": 412,
    "payload_too_large": 413,
    "unprocessable": 422,
    **dict.fromkeys(("rate_limit_exceeded", "rate_limit_error", "too_many_requests", "resource_exhausted"), 429),
    **dict.fromkeys(("server", "server_error", "unmapped", "internal_error"), 500),
    "provider_unavailable": 502,
    **dict.fromkeys(("provider_overloaded", "overloaded", "overloaded_error", "service_unavailable"), 503),
    "unavailable": 503,
    **dict.fromkeys(("timeout", "deadline_exceeded"), 504),
    **dict.fromkeys(("invalid_request", "invalid_request_error", "invalid_prompt", "bad_request"), 400),
    **dict.fromkeys(("invalid_argument", "zod_error", "zoderror"), 400),
}
"""The status for the type of an error that has no numeric code."""
STATUS_OF_WORDS = (
    (402, r"insufficient.{0,20}(balance|credit|fund)|payment required|out of credits|arrears|余额|欠费"),
    (
        429,
        r"rate.?limit|rate.?quota|too (many|frequent) requests|throttl|\b(rpm|tpm|rpd|tpd|qps)\b|"
        r"requests? per (minute|day)|quota|concurren\w+ (limit|exceed)|限流|频率|频繁|并发",
    ),
    (
        401,
        r"(invalid|incorrect|wrong|missing|expired|no)\b.{0,30}api.?(secret.?)?key|unauthori[sz]ed|login fail|"
        r"api.?(secret.?)?key.{0,30}(invalid|incorrect|missing|expired|not valid|required)|authentication fail|"
        r"invalid (access |auth )?token\b",
    ),
    (
        400,
        r"context (length|window|size)|(prompt|input) is too long|too many (input )?tokens|"
        r"content[ _]?(policy|filter)|sensitive|inappropriate|flagged as",
    ),
    (404, r"(no such|unknown) model|model.{0,60}(not (found|exist|available)|does not exist)|模型不存在"),
    (504, r"timed? ?out|超时"),
    (503, r"overload|server is busy|temporarily unavailable|no capacity|繁忙"),
)
"""The status for the words of an error inside a 200 without code and known type. The first line that fits counts."""
NOT_FOUND = 404
NO_SUCH_PATH = re.compile(r"unexpected endpoint or method", re.IGNORECASE)
"""LM Studio's error for a wrong path, which comes with status 200."""
UNKNOWN_STATUS = 502
LONGEST_TEXT = 8000


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The facts about one error.

    `status` is the code of the error if it has one, else that of the response. `text` is all of the error's text, for
    searching; `cause` is its most useful part, masked, for messages.
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
    """The error came inside a 200, so the request had passed the limits and checks of the account."""
    readable: bool = True
    """The body was JSON that contains an error."""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def upstream(self) -> bool:
        """Whether the error comes from a provider and not from OpenRouter."""
        return self.provider is not None or UPSTREAM_WORDS.match(self.text) is not None

    def limit_header(self, name: str) -> str | None:
        """The value of a rate-limit header, from the body or from the response."""
        return find_header(as_object(self.metadata.get("headers")), name) or find_header(self.headers, name)


def gather(status: int, headers: Mapping[str, str], payload: JsonObject, error: Json) -> Evidence:
    """The facts about `error`, which is part of `payload`, the body of a response with this status."""
    fields = as_object(error)
    details = as_object(fields.get("metadata"))
    kind = as_text(details.get("error_type")) or as_text(fields.get("type")) or as_text(fields.get("name")) or ""
    message = as_text(error) or as_text(fields.get("message")) or first_sentence(fields.get("message") or error) or ""
    raw = as_text(details.get("raw")) or first_sentence(details.get("raw")) or ""
    message, raw = message[:LONGEST_TEXT], raw[:LONGEST_TEXT]
    text = "\n".join(part for part in (message, raw, _earlier_messages(details)) if part)
    return Evidence(
        status=NOT_FOUND if _is_no_such_path(status, text) else _status_of(fields.get("code"), kind, text, status),
        text=text,
        cause=_find_cause(message, raw, as_text(details.get("provider_name"))),
        error_type=(kind or as_text(fields.get("code")) or "").lower(),
        metadata=details,
        availability=as_object(fields.get("availability")),
        provider=masked_name(details.get("provider_name")),
        model=find_free_model(text) or _model_in_slug(details) or _last_model_tried(payload),
        in_reply=status < 400,
        headers=headers,
    )


def _is_no_such_path(status: int, text: str) -> bool:
    return status < 400 and NO_SUCH_PATH.match(text) is not None


def _status_of(code: Json, kind: str, text: str, status: int) -> int:
    """The status of an error: its own code, else that of the response; inside a 200 that of its type or its words."""
    own = as_number(code)
    if own is not None and 400 <= own < 600:
        return int(own)
    if status >= 400:
        return status
    known = STATUS_OF_TYPE.get(_snake_case(code)) or STATUS_OF_TYPE.get(_snake_case(kind))
    return known or status_of_words(f"{_snake_case(code)} {_snake_case(kind)}\n{text}") or UNKNOWN_STATUS


def _snake_case(word: Json) -> str:
    """`RateLimitExceeded`, `rate-limit-exceeded` and `RATE_LIMIT_EXCEEDED` as `rate_limit_exceeded`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[\s.-]+", "_", as_text(word) or "").lower()


def status_of_words(text: str) -> int | None:
    """The status that the words of an error mean; None if they are not known."""
    return next((status for status, says in STATUS_OF_WORDS if re.search(says, text, re.IGNORECASE)), None)


def find_free_model(text: str) -> str | None:
    """The first `:free` model id in a text. Ids of paid models are ignored."""
    return next((each for each in NAMED.findall(text) if each != FREE_ROUTER), None)


def _model_in_slug(details: JsonObject) -> str | None:
    return find_free_model(as_text(details.get("model_slug")) or "")


def _last_model_tried(payload: JsonObject) -> str | None:
    """The last model that OpenRouter tried, according to its routing metadata."""
    router = as_object(payload.get("openrouter_metadata"))
    tried = [as_object(each).get("model") for each in as_list(router.get("attempts"))]
    chosen = as_list(as_object(router.get("endpoints")).get("available"))
    tried = tried or [as_object(each).get("model") for each in chosen if as_object(each).get("selected") is True]
    return find_free_model(as_text(tried[-1]) or "") if tried else None


def _earlier_messages(details: JsonObject) -> str:
    """The error messages of OpenRouter's earlier attempts within this request."""
    earlier = (as_text(as_object(each).get("message")) or "" for each in as_list(details.get("previous_errors"))[:3])
    return " ".join(earlier)[:LONGEST_TEXT]


def _find_cause(message: str, raw: str, provider: str | None) -> str:
    """The text to show: the message, or the provider's own text if the message is a general phrase."""
    inner = first_sentence(parse_json(raw)) or raw
    cause = inner if inner and SAYS_NOTHING.fullmatch(message) else first_sentence(parse_json(message)) or message
    return one_line(f"{provider}: {cause}" if provider and cause and inner == cause else cause)
