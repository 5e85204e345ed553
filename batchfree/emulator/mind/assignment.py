"""The task in a request, read from its words: labels, a JSON Schema, the rows of a pack, the text itself."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from html import unescape
from typing import Any

from batchfree.emulator.emulated_model import JsonObject
from batchfree.emulator.incoming_request import IncomingRequest
from batchfree.emulator.mind.fill_schema import resolve

ROW = re.compile(r'<row id="([^"]+)">(.*?)</row>', re.S)
BULLETS = re.compile(r"(?m)^[^\n]*:[ \t]*\n+((?:[ \t]*[-*•] [^\n]+(?:\n|\Z))+)")
SCHEMA_WORDS = re.compile(r"JSON Schema:[ \t]*\n+")


@dataclass(frozen=True)
class Assignment:
    """One request as a model reads it; `native` is the schema of `response_format`, if the model obeys it."""

    request: IncomingRequest
    native: JsonObject | None

    @cached_property
    def rows(self) -> dict[str, str]:
        """The texts of a pack by their codes, unescaped."""
        return {code: unescape(text).strip() for code, text in ROW.findall(self.request.last_user)}

    @cached_property
    def text(self) -> str:
        """The text in question: the last user message, or the one before a complaint about the answer."""
        roles = [message.get("role") for message in self.request.messages]
        texts = self.request.user_texts
        if roles[-3:] == ["user", "assistant", "user"] and (self.schema is not None or self.labels):
            return texts[-2]
        return texts[-1] if texts else ""

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The last bulleted list after a line that ends in a colon, in the system message, else in the user's."""
        for words in (self.request.system, self.request.last_user):
            lists = BULLETS.findall(ROW.sub("", words))
            if lists:
                return tuple(line.strip()[2:].strip() for line in lists[-1].splitlines() if line.strip())
        return ()

    @cached_property
    def schema(self) -> JsonObject | None:
        """The native schema, or the one in the words after "JSON Schema:"."""
        worded = (_schema_in(words) for words in (self.request.system, *reversed(self.request.user_texts)))
        return self.native or next((schema for schema in worded if schema is not None), None)

    def schema_of(self, code: str) -> tuple[Any, JsonObject]:
        """The schema for one row of a pack, and the document to which its references refer."""
        root = self.schema or {}
        schema = root
        for _ in range(3):
            schema = resolve(schema["$ref"], root) if "$ref" in schema else schema
        properties = schema.get("properties") or {}
        if code in properties:
            return properties[code], root
        extra = schema.get("additionalProperties")
        return (extra, root) if not properties and isinstance(extra, dict) else (schema, schema)

    @property
    def wants_json(self) -> bool:
        """Whether JSON mode is on, or the system message mentions JSON."""
        is_json_mode = self.request.response_format.get("type") == "json_object"
        return is_json_mode or bool(re.search(r"\bjson\b", self.request.system, re.I))

    @property
    def wants_tool(self) -> bool:
        """Whether tools are offered, and the last message is not already the result of a tool."""
        is_result = bool(self.request.messages) and self.request.messages[-1].get("role") == "tool"
        return bool(self.request.tools) and self.request.body.get("tool_choice") != "none" and not is_result


@lru_cache(maxsize=256)
def _schema_in(words: str) -> JsonObject | None:
    for match in reversed(list(SCHEMA_WORDS.finditer(words))):
        try:
            found, _ = json.JSONDecoder().raw_decode(words, match.end())
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return None
