"""What the service says, fit for a log: without keys and account ids, on one line, not too long."""

from __future__ import annotations

import json
import re

from batchfree.core.chat import Json, JsonObject
from batchfree.core.text import clean
from batchfree.service.openrouter.lenient import document, table, word

LONGEST = 300
LONGEST_NAME = 200
LONGEST_METADATA = 20_000

MASKS = (
    (re.compile(r"openrouter\.ai/workspaces/\S*/keys/[^\s\"'<>),]*"), "openrouter.ai/workspaces/…"),
    (re.compile(r"\bsk-[0-9A-Za-z][0-9A-Za-z_.-]*"), "sk-…"),
    (re.compile(r"\b[Bb]earer\s+[0-9A-Za-z][0-9A-Za-z_.~+/=-]{7,}"), "Bearer …"),
    (re.compile(r"(?<![A-Za-z0-9])(user|org)_[0-9A-Za-z]+"), r"\1_…"),
)
"""Keys (`sk-or-v1-…`, also shortened ones), account ids and addresses of keys, which error texts are known to quote."""


def mask(text: str) -> str:
    """The text without keys and account ids."""
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return text


def sentence(text: str) -> str:
    """The text on one line of at most 300 characters, masked."""
    line = " ".join(mask(clean(text)).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def name(value: Json) -> str | None:
    """A name or an id from outside, masked and not too long."""
    told = word(value)
    return mask(told[:LONGEST_NAME]) if told else None


def metadata(value: Json) -> JsonObject | None:
    """An object from outside, masked all through; None where it is none, empty, or too large to keep."""
    try:
        text = json.dumps(value, ensure_ascii=False) if isinstance(value, dict) and value else ""
    except RecursionError:
        return None
    return table(document(mask(clean(text)))) or None if len(text) <= LONGEST_METADATA else None
