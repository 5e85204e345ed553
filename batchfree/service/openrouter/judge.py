"""The judge of responses: turns status, headers and body into a `Completion` or a `Failure`.

HTTP 200 does not mean success: OpenRouter sends the status before it knows the result, so the body may hold an error.
A status may also be the one that a provider gave to OpenRouter. The judge never raises, whatever the body is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec.structs import replace

from batchfree.core.chat import Failure, Json, JsonObject, Judged, Kind, Usage
from batchfree.service.openrouter.body import MOST_VALUES, UnreadableBodyError, body_text, count_values, readable_text
from batchfree.service.openrouter.complaints import find_complaint, has_error
from batchfree.service.openrouter.evidence import Evidence, gather, status_of_words
from batchfree.service.openrouter.lenient import (
    as_count,
    as_list,
    as_number,
    as_object,
    as_text,
    find_header,
    parse_json,
)
from batchfree.service.openrouter.literal_json import json_text_at
from batchfree.service.openrouter.masking import Secret, masked_name, masked_object, one_line
from batchfree.service.openrouter.reply import judge_choice
from batchfree.service.openrouter.verdicts import verdict

TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
HTML = re.compile(r"\s*<(!doctype|html|head|body|\?xml)", re.IGNORECASE)
LONGEST_SENTENCE = 1000
"""Characters of a text without JSON that are searched for words of an error."""
START = 20_000
"""Characters of an unreadable body that are searched for words of an error."""
FRAME = re.compile(r"^data:(.*error.*)$", re.MULTILINE)
NO_SECRET = Secret()


def judge(status: int, headers: Mapping[str, str], body: bytes, secret: Secret = NO_SECRET) -> Judged:
    """What a response means. Header names may have any case; `body` is complete and decompressed.

    The judgement never contains `secret`: it is removed here from headers and body.
    """
    headers = secret.scrub_headers(headers)
    if 300 <= status < 400:
        place = (find_header(headers, "location") or "nowhere").split("?")[0]
        message = one_line(f"the service redirects to {place}; redirects are not followed")
        return Failure(kind=Kind.BAD_RESPONSE, message=message, status=status)
    try:
        text = body_text(headers, body) if status < 400 else readable_text(headers, body)
        payload = as_object(_payload(text))
        if secret.may_be_in(text):
            payload = as_object(secret.scrub_json(payload))
    except UnreadableBodyError as error:
        if status < 400:
            return Failure(kind=Kind.BAD_RESPONSE, message=one_line(str(error)), status=status)
        payload = {}
    except RecursionError:
        payload = {}
    judged: Judged
    if status < 400 and payload and not has_error(payload):
        judged = _judge_reply(payload, text, status, headers, secret)
    elif status >= 400 or payload:
        judged = _judge_error(payload, secret.scrub(text[:START]), status, headers)
    else:
        judged = _judge_unreadable(secret.scrub(text[:START]), status, headers)
    return _with_envelope(judged, payload, headers)


def _payload(text: str) -> Json:
    """The JSON of a body; of an event stream, which batchfree never requests, the first frame with an error.

    Raises UnreadableBodyError if reading it would take too much memory.
    """
    if len(text) > MOST_VALUES and count_values(text) > MOST_VALUES:
        raise UnreadableBodyError(f"the response holds more than {MOST_VALUES:,} values")
    if text.startswith(("data:", "event:")):
        frames = (parse_json(found[1].strip()) for found in FRAME.finditer(text))
        return next((frame for frame in frames if has_error(as_object(frame))), None)
    value = parse_json(text)
    if isinstance(value, list) and value and has_error(as_object(value[0])):
        return value[0]  # Gemini sends its error in a list
    return value


def _judge_reply(payload: JsonObject, text: str, status: int, headers: Mapping[str, str], secret: Secret) -> Judged:
    """What a response without an error means. If it has no choice, its words are judged as an error."""
    choices = as_list(payload.get("choices"))
    choice = as_object(choices[0]) if choices else {}
    if choice:
        return judge_choice(choice, payload, status, lambda path: secret.scrub(json_text_at(text, path)))
    complaint = find_complaint(payload)
    if complaint is not None:
        return verdict(gather(status, headers, payload, complaint))
    return Failure(kind=Kind.BAD_RESPONSE, message="the reply has no choices", status=status)


def _judge_error(payload: JsonObject, text: str, status: int, headers: Mapping[str, str]) -> Failure:
    error = payload.get("error")
    if isinstance(error, str | dict) and error:
        return verdict(gather(status, headers, payload, error))
    if payload:  # the shapes of other servers
        complaint = find_complaint(payload) or {}
        return verdict(gather(status, headers, payload, {**payload, "metadata": None, **complaint}))
    judged = verdict(Evidence(status=status, text=_html_title(text), headers=headers, readable=False))
    return replace(judged, message=one_line(f"status {status} with {_describe_body(text)}"))


def _judge_unreadable(text: str, status: int, headers: Mapping[str, str]) -> Failure:
    """What a 200 without a JSON object means: its words may still name a limit or another error."""
    kind = find_header(headers, "content-type") or "no content type"
    message = one_line(f"status {status} with {_describe_body(text)} instead of JSON ({kind})")
    said = _html_title(text) if HTML.match(text) else text if text[:1] not in ("{", "[") else ""
    if status_of_words(said[:LONGEST_SENTENCE]) is None:
        return Failure(kind=Kind.BAD_RESPONSE, message=message, status=status)
    judged = verdict(gather(status, headers, {}, as_text(parse_json(said)) or said))
    return replace(judged, message=message) if HTML.match(text) else judged


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
