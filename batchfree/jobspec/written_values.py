"""Mistakes that show only in the written form of a value: API keys, and labels that YAML does not read as text.

They are looked for before the values get their types.
"""

from __future__ import annotations

from batchfree.core.text import KeyPath
from batchfree.jobspec.draft import Draft, holds_key

KEY_NAMES = {
    "api_key",
    "apikey",
    "api-key",
    "x-api-key",
    "authorization",
    "bearer",
    "access_token",
    "openrouter_api_key",
}
KEY_ADVICE = (
    "an API key must not stand here; put it into an environment variable, name the variable under "
    "endpoint.api_key_env, and replace this key if others may have seen it"
)
QUOTED_TAGS = {"bool": "a boolean", "int": "a number", "float": "a number", "null": "nothing", "timestamp": "a date"}


def take_out_keys(draft: Draft) -> None:
    """Blames and removes every API key in the spec. It is known by its form, or by the name it is written under."""
    for path in list(draft.origins):
        value = draft.get(*path)
        named = bool(path) and str(path[-1]).lower() in KEY_NAMES and isinstance(value, str | int)
        if named or (isinstance(value, str) and holds_key(value)) or (path and holds_key(str(path[-1]))):
            draft.blame(path, KEY_ADVICE)
            if isinstance(path[-1], str):
                draft.remove(path)
            else:
                draft.put(path, "hidden")


def check_labels(draft: Draft) -> None:
    """Blames labels that YAML does not read as text, and replaces them by the text as it was written."""
    labels = draft.get("answer", "labels")
    for index in range(len(labels) if isinstance(labels, list) else 0):
        path: KeyPath = ("answer", "labels", index)
        origin = draft.origins.get(path)
        if origin is not None and origin.plain and origin.tag in QUOTED_TAGS and origin.text is not None:
            text = origin.text or "null"
            draft.blame(path, f'YAML reads the label {text} as {QUOTED_TAGS[origin.tag]}; put it in quotes: "{text}"')
            draft.put(path, text)
