"""Request lines of OpenAI's batch API: what they hold, and what names a row.

Shapes as in OpenAI's guide to the Batch API: `{"custom_id", "method", "url", "body"}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batchfree.core.chat import JsonObject
from batchfree.core.formats import OPENAI_BATCH

if TYPE_CHECKING:
    from batchfree.jobspec import InputSpec

CUSTOM_ID = "custom_id"
"""The key that names a line, in requests and in results."""
BODY = "body"
"""The key, and so the column, that holds the request."""
CHAT_URL = "/v1/chat/completions"


def id_column(spec: InputSpec) -> str | None:
    """The column that names rows: `input.id`, else `custom_id` where the input is an OpenAI batch file."""
    if spec.id is None and spec.format == OPENAI_BATCH:
        return CUSTOM_ID
    return spec.id


def request_line_mistake(line: JsonObject) -> str | None:
    """What keeps a line from being a chat request; None if it is one."""
    if line.get("url") not in (None, CHAT_URL):
        return f"the url must be {CHAT_URL}, not {line['url']!r}"
    if line.get("method") not in (None, "POST"):
        return f"the method must be POST, not {line['method']!r}"
    body = line.get(BODY)
    if not isinstance(body, dict):
        return f"`{BODY}` must be an object with `messages`"
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        return f"`{BODY}.messages` must be a list of messages"
    return None if CUSTOM_ID in line else f"`{CUSTOM_ID}` is missing"
