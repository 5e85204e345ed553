"""What may stand under `messages`: OpenAI's messages, and batchfree's shorter parts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from batchfree.core.chat import Json, JsonObject
from batchfree.jobspec.draft import Draft, shown

ROLES = ("system", "developer", "user", "assistant", "tool")
FIRST_ROLES = ("system", "developer")
MESSAGE_KEYS = ("role", "content", "name", "tool_calls", "tool_call_id", "reasoning", "reasoning_details", "refusal")
OWN_PARTS = ("text", "image", "file", "audio")
OPENAI_PARTS = ("image_url", "input_audio", "video_url", "refusal")
"""Parts that are passed on as they are; `text` and `file` with a mapping are OpenAI's too."""

MESSAGES_SCHEMA: JsonObject = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["role"],
        "properties": {
            "role": {"enum": list(ROLES)},
            "content": {
                "description": "Text (a Jinja template), or a list of parts.",
                "anyOf": [
                    {"type": ["string", "null"]},
                    {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["type"],
                            "properties": {"type": {"enum": [*OWN_PARTS, *OPENAI_PARTS]}},
                        },
                    },
                ],
            },
            **{key: {} for key in MESSAGE_KEYS[2:]},
        },
        "additionalProperties": False,
    },
}


def check_messages(draft: Draft) -> None:
    """Blames every message, and every part of one, that can't be sent."""
    messages = draft.get("messages")
    if messages == []:
        draft.blame(("messages",), "an empty list asks nothing; write at least one message")
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        if not isinstance(message, dict):
            continue  # said with the other wrong types
        for key in message:
            if key not in MESSAGE_KEYS:
                draft.blame(("messages", index, key), f"a message has no such key{nearest(key, MESSAGE_KEYS)}")
        if "role" not in message:
            draft.blame(("messages", index), f"a message needs a `role`: one of {', '.join(ROLES)}")
        elif message["role"] not in ROLES:
            role = message["role"]
            advice = f"expected one of {', '.join(ROLES)}, got {draft.shown(('messages', index, 'role'), role)}"
            draft.blame(("messages", index, "role"), advice + nearest(role, ROLES))
        _check_content(draft, index, message)


def nearest(word: Json, known: Collection[str]) -> str:
    """A question that names the nearest known word, to be put behind a sentence."""
    close = get_close_matches(word, list(known), n=1) if isinstance(word, str) else []
    return f"; did you mean `{close[0]}`?" if close else ""


def _check_content(draft: Draft, index: int, message: JsonObject) -> None:
    content = message.get("content")
    path = ("messages", index, "content")
    if content is None:
        if not message.get("tool_calls"):
            draft.blame(path, "a message needs a `content`: text, or a list of parts")
    elif isinstance(content, list):
        if not content:
            draft.blame(path, "an empty list says nothing; write text or at least one part")
        for position, part in enumerate(content):
            for complaint in _part_complaints(part):
                draft.blame((*path, position), complaint)
    elif not isinstance(content, str):
        draft.blame(path, f"expected text or a list of parts, got {shown(content)}")


def _part_complaints(part: Json) -> Iterator[str]:
    if not isinstance(part, dict):
        yield f"a part is a mapping such as {{type: text, text: …}}, got {shown(part)}"
        return
    kind = part.get("type")
    if kind not in OWN_PARTS and kind not in OPENAI_PARTS:
        known = (*OWN_PARTS, *OPENAI_PARTS)
        what = "no `type`" if "type" not in part else f"the type {shown(kind)}"
        yield f"a part of a message has {what}; expected one of {', '.join(known)}{nearest(kind, known)}"
    elif kind in OPENAI_PARTS or (kind == "file" and isinstance(part.get("file"), dict)):
        if kind not in part:
            yield f"a part of type {kind} needs a key `{kind}`"
    else:
        yield from _own_part_complaints(part, kind)


def _own_part_complaints(part: JsonObject, kind: str) -> Iterator[str]:
    sources = [kind, "column"] if kind == "image" else [kind]
    given = [key for key in sources if key in part]
    form = " or ".join(f"{{type: {kind}, {key}: {'NAME' if key == 'column' else '…'}}}" for key in sources)
    if not given:
        yield f"a part of type {kind} is written {form}"
    if len(given) > 1:
        yield "an image comes from `image` or from `column`, not from both"
    for key in given:
        if not isinstance(part[key], str) or (kind != "text" and not part[key].strip()):
            yield f"`{key}` of this part: expected text, got {shown(part[key])}"
    for key in part:
        if key not in (*sources, "type", "cache_control"):
            yield f"a part of type {kind} has no key {shown(key)}; it is written {form}"
