"""Finds the sentence and the code of an error in a body, in the shapes of many servers.

Some servers send an error with status 200 and under keys of their own: MiniMax `base_resp.status_msg`, FastAPI
`detail`, Tencent `Response.Error.Message`, Baidu `error_msg`, Spring `message`, GraphQL and Cloudflare
`errors[].message`, Apigee `fault.faultstring`, others `code` and `msg`. The case of a key does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from batchfree.core.chat import Json, JsonObject
from batchfree.service.openrouter.lenient import as_list, as_number, as_object, as_text, parse_json

SENTENCES = (
    *("message", "msg", "status_msg", "error_message", "errormessage", "error_msg", "errmsg", "error_description"),
    *("faultstring", "statusmessage", "status_message", "returnmessage", "resultmessage", "err"),
)
"""Keys of a sentence, the most useful first."""
ERRORS = ("error", "errors", "detail", "details", "fault", "exception", "cause")
"""Keys of a whole error: an object, a list, or the sentence itself."""
PARTS = ("base_resp", "response", "data", "result", "output", "body", "meta", "header", "status")
"""Keys of objects that may hold an error."""
REMARKS = ("reason", "title", "description")
"""Keys of a sentence that counts only if there is no other."""
CODES = ("code", "status_code", "statuscode", "error_code", "errorcode", "errcode", "status", "type", "error_type")
DEEPEST = 6
MOST = 3
"""Number of elements of a list, and of sentences of an error, that are read."""
SAYS_SUCCESS = re.compile(r"\s*(ok(ay)?|success(ful(ly)?)?|succeeded|done|null|none|0|true|成功)?\W*", re.IGNORECASE)


def sentences_in(value: Json, depth: int = 0) -> Iterator[str]:
    """The sentences of an error that may have any shape, the most useful first. JSON inside a text is read too."""
    if depth > DEEPEST:
        return
    if isinstance(value, str):
        inner = list(sentences_in(parse_json(value), depth + 1)) if value.lstrip()[:1] in ("{", "[") else []
        yield from inner or filter(None, [as_text(value)])
    elif isinstance(value, list):
        for each in value[:MOST]:
            yield from sentences_in(each, depth + 1)
    elif isinstance(value, dict):
        yield from _in_object({key.lower(): each for key, each in value.items()}, depth + 1)


def _in_object(fields: JsonObject, depth: int) -> Iterator[str]:
    for key in SENTENCES:
        yield from sentences_in(fields.get(key), depth)
    for key in (*ERRORS, *PARTS):
        if key in ERRORS or isinstance(fields.get(key), dict | list):
            yield from sentences_in(fields.get(key), depth)
    for key in REMARKS:
        yield from sentences_in(fields.get(key), depth)


def first_sentence(value: Json) -> str | None:
    """The most useful sentence of an error; None if it has none."""
    return next(sentences_in(value), None)


def has_error(payload: JsonObject) -> bool:
    """Whether a body says that the request failed, even if it also holds a reply."""
    for key, value in payload.items():
        if value and key.lower() in ("error", "errors"):
            return True
    if payload.get("success") is False:
        return True
    base = payload.get("base_resp")
    return base is not None and as_number(as_object(base).get("status_code")) not in (None, 0, 200)


def find_complaint(payload: JsonObject) -> JsonObject | None:
    """The error in a body without a reply, in OpenRouter's shape; None if the body names no error."""
    found = [each for each in islice(sentences_in(payload), MOST) if not SAYS_SUCCESS.fullmatch(each)]
    codes = list(_codes(payload))
    numbers = (as_number(code) for code in codes)
    number = next((number for number in numbers if number is not None and 400 <= number < 600), None)
    if not found and number is None:
        return None
    word = next((code for code in codes if isinstance(code, str) and as_number(code) is None), None)
    return {"message": "; ".join(dict.fromkeys(found)), "code": number, "type": word}


def _codes(value: Json, depth: int = 0) -> Iterator[Json]:
    """The codes and types of an error that may have any shape."""
    if depth > DEEPEST or not isinstance(value, dict | list):
        return
    for each in as_list(value)[:MOST]:
        yield from _codes(each, depth + 1)
    fields = {key.lower(): each for key, each in as_object(value).items()}
    yield from (fields[key] for key in CODES if isinstance(fields.get(key), str | int | float))
    for key in (*ERRORS, *PARTS):
        yield from _codes(fields.get(key), depth + 1)
