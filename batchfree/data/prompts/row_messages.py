"""Rows with messages of their own: in a column, or in the body of an OpenAI batch request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from batchfree.core.chat import Json, JsonObject
from batchfree.core.parameters import DECIDED_HERE
from batchfree.core.text import without_surrogates
from batchfree.data.openai_batch import BODY
from batchfree.data.prompts.template import UnrenderableError
from batchfree.jobspec.check import parameter_complaints


def messages_in(row: Mapping[str, Any], column: str) -> list[JsonObject]:
    """The messages in a column of structs or JSON text. Raises UnrenderableError."""
    value = row.get(column)
    if value is None:
        raise UnrenderableError(f"the column `{column}` is null")
    messages = _decode(value, column) if isinstance(value, str) else without_nulls(value)
    return check_messages(messages, f"the column `{column}`")


def body_in(row: Mapping[str, Any]) -> JsonObject:
    """The body of an OpenAI batch request. Raises UnrenderableError."""
    value = row.get(BODY)
    body = _decode(value, BODY) if isinstance(value, str) else value
    if not isinstance(body, dict):
        raise UnrenderableError(f"`{BODY}` must be an object with `messages`")
    return body


def parameters_in(body: JsonObject) -> JsonObject:
    """The parameters in the body of a batch request.

    Raises UnrenderableError for a parameter that could cost money or break the run, as `request:` refuses it.
    """
    parameters = {key: value for key, value in body.items() if key not in DECIDED_HERE and value is not None}
    if complaints := parameter_complaints(parameters):
        raise UnrenderableError(complaints[0])
    return parameters


def check_messages(messages: Json, where: str) -> list[JsonObject]:
    """The value itself if it is a list of messages; `where` names it. Raises UnrenderableError."""
    if not isinstance(messages, list) or not messages:
        raise UnrenderableError(f"{where} must hold a list of messages")
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise UnrenderableError(f"{where} holds a message without a role")
        if message.get("content") is None and not message.get("tool_calls"):
            raise UnrenderableError(f"{where} holds a message without content")
    return messages


def without_nulls(value: Json) -> Json:
    """The value without keys that are null. A column of structs gives every row the keys of all rows."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [without_nulls(each) for each in value]
    return value


def _decode(text: str, column: str) -> Json:
    try:
        return without_surrogates(json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError) as error:
        raise UnrenderableError(f"the column `{column}` is not JSON: {error}") from error


def _refuse(constant: str) -> Json:
    raise ValueError(f"{constant} is no JSON number")
