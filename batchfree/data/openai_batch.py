"""Request lines of OpenAI's Batch API: what they hold, and what names a row.

A line is `{"custom_id", "method", "url", "body"}`. Source: https://platform.openai.com/docs/guides/batch
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from batchfree.core.chat import Json, JsonObject
from batchfree.core.formats import OPENAI_BATCH

if TYPE_CHECKING:
    from batchfree.jobspec import InputSpec

CUSTOM_ID = "custom_id"
"""The key that names a line, in requests and in results."""
BODY = "body"
"""The key, and so the column, that holds the request."""
CHAT_URL = "/chat/completions"
"""The end of every URL that asks for a chat completion: OpenAI's, Azure's without /v1, other vendors' whole URLs."""


def id_column(spec: InputSpec) -> str | None:
    """The column that names rows: `input.id`, else `custom_id` if the input is an OpenAI batch file; None without."""
    if spec.id is None and spec.format == OPENAI_BATCH:
        return CUSTOM_ID
    return spec.id


def row_name(value: Json) -> str:
    """The text of an id. A whole number is written without `.0`, even if its column also holds fractions."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def is_chat_url(url: str) -> bool:
    """Whether the path of a URL ends in /chat/completions; a query such as `?api-version=…` does not matter."""
    return url.partition("?")[0].rstrip("/").endswith(CHAT_URL)


def looks_like_requests(columns: Collection[str]) -> bool:
    """Whether an input with these columns holds request lines of the batch API."""
    return {CUSTOM_ID, BODY} <= set(columns)


def request_line_mistake(line: JsonObject) -> str | None:
    """What keeps a line from being a chat request; None if it is one."""
    url = line.get("url")
    if url is not None and not (isinstance(url, str) and is_chat_url(url)):
        return f"the url must end in {CHAT_URL}, not {url!r}: batchfree sends only chat completions"
    if "params" in line and BODY not in line:
        return "this is a line of Anthropic's Message Batches, not of OpenAI's Batch API"
    if line.get("method") not in (None, "POST"):
        return f"the method must be POST, not {line['method']!r}"
    body = line.get(BODY)
    if not isinstance(body, dict):
        return f"`{BODY}` must be an object with `messages`"
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        return f"`{BODY}.messages` must be a list of messages"
    return None if CUSTOM_ID in line else f"`{CUSTOM_ID}` is missing"
