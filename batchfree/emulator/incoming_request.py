"""The contents of a request body: its texts, its pictures, the abilities that it needs, its size.

The client has its own code for this, since the emulator shares no code with the client.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from batchfree.emulator.emulated_model import JsonObject

CHARACTERS_A_TOKEN = 4
TOKENS_AN_IMAGE = 258
PART_NEEDS = {"image_url": "image", "input_audio": "audio", "video_url": "video"}


@dataclass(frozen=True)
class IncomingRequest:
    """One chat request; its body is a JSON object."""

    body: JsonObject

    @cached_property
    def messages(self) -> list[JsonObject]:
        messages = self.body.get("messages")
        if not messages and isinstance(self.body.get("prompt"), str):
            return [{"role": "user", "content": self.body["prompt"]}]
        return messages if isinstance(messages, list) else []

    @cached_property
    def models(self) -> list[str]:
        """The ids to try in order, each once: `model`, then `models`."""
        first = [self.body["model"]] if self.body.get("model") else []
        return list(dict.fromkeys([*first, *(self.body.get("models") or ())]))

    @cached_property
    def system(self) -> str:
        """The text of every system and developer message."""
        roles = ("system", "developer")
        return "\n\n".join(text_of(message) for message in self.messages if message.get("role") in roles)

    @cached_property
    def last_user(self) -> str:
        """The text of the last user message."""
        return self.user_texts[-1] if self.user_texts else ""

    @cached_property
    def user_texts(self) -> list[str]:
        return [text_of(message) for message in self.messages if message.get("role") == "user"]

    @cached_property
    def parts(self) -> list[JsonObject]:
        """Every content part of every message, in order."""
        contents = [message.get("content") for message in self.messages]
        return [part for content in contents if isinstance(content, list) for part in content if isinstance(part, dict)]

    @cached_property
    def response_format(self) -> JsonObject:
        wanted = self.body.get("response_format")
        return wanted if isinstance(wanted, dict) else {}

    @cached_property
    def json_schema(self) -> JsonObject | None:
        """The schema of `response_format`; None if there is none."""
        if self.response_format.get("type") != "json_schema":
            return None
        holder = self.response_format.get("json_schema")
        schema = holder.get("schema") if isinstance(holder, dict) else None
        return schema if isinstance(schema, dict) else None

    @cached_property
    def tools(self) -> list[JsonObject]:
        tools = self.body.get("tools")
        return [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []

    @cached_property
    def needs(self) -> frozenset[str]:
        """The abilities that a model must have: input kinds, `tools`, `structured_outputs`, `response_format`."""
        needs = {PART_NEEDS[part["type"]] for part in self.parts if part.get("type") in PART_NEEDS}
        if self.tools:
            needs.add("tools")
        if self.response_format.get("type") == "json_schema":
            needs.add("structured_outputs")
        elif self.response_format.get("type") == "json_object":
            needs.add("response_format")
        return frozenset(needs)

    @cached_property
    def prompt_tokens(self) -> int:
        """A rough count: four characters a token, and a fixed number for each picture."""
        characters = sum(len(text_of(message)) + 16 for message in self.messages)
        characters += len(str(self.body.get("tools") or "")) + len(str(self.json_schema or ""))
        images = len([part for part in self.parts if part.get("type") == "image_url"])
        return max(1, characters // CHARACTERS_A_TOKEN) + images * TOKENS_AN_IMAGE

    @cached_property
    def max_tokens(self) -> int | None:
        limit = self.body.get("max_completion_tokens", self.body.get("max_tokens"))
        return limit if isinstance(limit, int) and not isinstance(limit, bool) else None

    @cached_property
    def reasoning(self) -> JsonObject:
        """The `reasoning` object; the short form `reasoning_effort` counts as its `effort`."""
        given = self.body.get("reasoning")
        reasoning = dict(given) if isinstance(given, dict) else {}
        if isinstance(self.body.get("reasoning_effort"), str):
            reasoning.setdefault("effort", self.body["reasoning_effort"])
        return reasoning

    @cached_property
    def thinking_off(self) -> bool:
        return self.reasoning.get("enabled") is False or self.reasoning.get("effort") == "none"

    @cached_property
    def thinking_on(self) -> bool:
        return not self.thinking_off and bool(set(self.reasoning) - {"exclude", "summary"})

    @property
    def stream(self) -> bool:
        return self.body.get("stream") is True


def text_of(message: Any) -> str:
    """The text of one message: its string, or its text parts, one per line."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "\n".join(text for text in texts if isinstance(text, str))
