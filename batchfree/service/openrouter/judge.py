"""The judge of responses: turns status, headers and body into a `Completion` or a `Failure`.

HTTP 200 does not mean success: OpenRouter sends the status before it knows the result, so the body may hold an error.
A status may also be the one that a provider gave to OpenRouter. The judge never raises, whatever the body is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from batchfree.core.chat import Failure, Json, JsonObject, Judged, Kind, Usage
from batchfree.service.openrouter.body import MOST_VALUES, UnreadableBodyError, body_text, count_values, readable_text
from batchfree.service.openrouter.evidence import Evidence, gather
from batchfree.service.openrouter.lenient import as_count, as_list, as_number, as_object, find_header, parse_json
from batchfree.service.openrouter.literal_json import json_text_at
from batchfree.service.openrouter.masking import Secret, masked_name, masked_object, one_line
from batchfree.service.openrouter.reply import judge_choice
from batchfree.service.openrouter.verdicts import verdict

TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
HTML = re.compile(r"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)
START = 20_000
"""Characters of an unreadable body that are searched for something to say about it."""
FRAME = re.compile(r"^data:(.*error.*)$", re.MULTILINE)
NO_SECRET = Secret()


def judge(status: int, headers: Mapping[str, str], body: bytes, secret: Secret = NO_SECRET) -> Judged:
    """What a response means. Header names may have any case; `body` is complete and decompressed.

    The judgement never contains `secret`, which is removed here, once, from everything that came.
    """
    headers = secret.scrub_headers(headers)
    if 300 <= status < 400:
        place = (find_header(headers, "location") or "nowhere").split("?")[0]
        message = one_line(f"the service redirects to {place}; redirects are not followed")
        return Failure(kind=Kind.BAD_RESPONSE, message=message, status=status)
    try:
        text = body_text(headers, body) if status < 400 else readable_text(headers, body)
        payload = as_object(secret.scrub_json(_payload(text)))
    except UnreadableBodyError as error:
        return Failure(kind=Kind.BAD_RESPONSE, message=one_line(str(error)), status=status)
    except RecursionError:
        payload = {}
    if status < 400 and payload and not _has_error(payload):
        judged = _judge_reply(payload, text, status, secret)
    elif status < 400 and not payload:
        judged = _judge_unreadable(secret.scrub(text[:START]), status, headers)
    else:
        judged = _judge_error(payload, secret.scrub(text[:START]), status, headers)
    return _with_envelope(judged, payload, headers)


def _payload(text: str) -> Json:
    """The JSON of a body. Of an event stream, which batchfree never requests, only a frame with an error.

    Raises UnreadableBodyError if reading it would take too much memory.
    """
    if count_values(text) > MOST_VALUES:
        raise UnreadableBodyError(f"the response holds more than {MOST_VALUES:,} values")
    if not text.startswith(("data:", "event:")):
        return parse_json(text)
    frames = (parse_json(found[1].strip()) for found in FRAME.finditer(text))
    return next((frame for frame in frames if _has_error(as_object(frame))), None)


def _judge_reply(payload: JsonObject, text: str, status: int, secret: Secret) -> Judged:
    """What a response without an error means."""
    choice = as_object(next(iter(as_list(payload.get("choices"))), None))
    if not choice:
        return Failure(kind=Kind.BAD_RESPONSE, message="the reply has no choices", status=status)
    return judge_choice(choice, payload, status, lambda path: secret.scrub(json_text_at(text, path)))


def _has_error(payload: JsonObject) -> bool:
    return bool(payload.get("error")) or payload.get("success") is False


def _judge_error(payload: JsonObject, text: str, status: int, headers: Mapping[str, str]) -> Failure:
    if _has_error(payload):
        return verdict(gather(status, headers, payload, payload.get("error")))
    if payload:  # errors of other servers: `{"message": …}`, `{"detail": …}`
        evidence = gather(status, headers, payload, {**payload, "metadata": None})
        return verdict(evidence if evidence.cause else gather(status, headers, payload, payload.get("detail")))
    judged = verdict(Evidence(status=status, text=_html_title(text), headers=headers, readable=False))
    return replace(judged, message=one_line(f"status {status} with {_describe_body(text)}"))


def _judge_unreadable(text: str, status: int, headers: Mapping[str, str]) -> Failure:
    kind = find_header(headers, "content-type") or "no content type"
    message = one_line(f"status {status} with {_describe_body(text)} instead of JSON ({kind})")
    return Failure(kind=Kind.BAD_RESPONSE, message=message, status=status)


def _describe_body(text: str) -> str:
    if not text:
        return "a body of only blanks"
    if HTML.match(text):
        return f"an HTML page: {_html_title(text) or 'untitled'}"
    return f"a body that is no JSON object or is cut off: {text[:80]}"


def _html_title(text: str) -> str:
    found = TITLE.search(text)
    return found.group(1).strip() if found else ""


def _with_envelope(judged: Judged, payload: JsonObject, headers: Mapping[str, str]) -> Judged:
    """The judgement with provider, request id, usage and routing metadata of the response."""
    usage = as_object(payload.get("usage"))
    return replace(
        judged,
        model=judged.model or masked_name(payload.get("model")),
        provider=judged.provider or masked_name(payload.get("provider")),
        request_id=masked_name(payload.get("id")) or masked_name(find_header(headers, "x-generation-id")),
        usage=Usage(
            prompt_tokens=as_count(usage.get("prompt_tokens")),
            completion_tokens=as_count(usage.get("completion_tokens")),
            cost=max(0.0, as_number(usage.get("cost")) or 0.0),
        ),
        router=masked_object(payload.get("openrouter_metadata")),
    )
