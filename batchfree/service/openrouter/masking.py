"""Makes text from the service safe for logs: no keys, no account ids, one line, limited length."""

from __future__ import annotations

import json
import re

from batchfree.core.chat import Json, JsonObject
from batchfree.core.text import clean
from batchfree.service.openrouter.lenient import as_object, as_text, parse_json

LONGEST = 300
LONGEST_NAME = 200
LONGEST_METADATA = 20_000

MASKS = (
    (re.compile(r"openrouter\.ai/workspaces/\S*/keys/[^\s\"'<>),]*"), "openrouter.ai/workspaces/…"),
    (re.compile(r"\bsk-[0-9A-Za-z][0-9A-Za-z_.-]*"), "sk-…"),
    (re.compile(r"\b[Bb]earer\s+[0-9A-Za-z][0-9A-Za-z_.~+/=-]{7,}"), "Bearer …"),
    (re.compile(r"(?<![A-Za-z0-9])(user|org)_[0-9A-Za-z]+"), r"\1_…"),
)
"""Keys (`sk-or-v1-…`, also shortened), account ids and URLs of keys. Real error texts contain all of these."""


def mask(text: str) -> str:
    """The text with keys and account ids masked."""
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return text


def one_line(text: str) -> str:
    """The text, masked, on one line of at most 300 characters."""
    line = " ".join(mask(clean(text)).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def masked_name(value: Json) -> str | None:
    """A name or an id from outside, masked and cut to 200 characters; None if there is none."""
    text = as_text(value)
    return mask(text[:LONGEST_NAME]) if text else None


def masked_object(value: Json) -> JsonObject | None:
    """An object from outside with all its texts masked; None if it is empty, too large or no object."""
    try:
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) and value else ""
    except RecursionError:
        return None
    return as_object(parse_json(mask(clean(text)))) or None if len(text) <= LONGEST_METADATA else None
