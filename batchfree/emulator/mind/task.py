"""What a request wants of a model, read from its words: labels, a JSON Schema, a pack's rows, the text itself."""

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
WANTS_JSON = re.compile(r"\bjson\b", re.I)


@dataclass(frozen=True)
class Task:
    """One request as a model reads it. `native` is the schema of `response_format`, where this model heeds it."""

    asked: IncomingRequest
    native: JsonObject | None

    @cached_property
    def rows(self) -> dict[str, str]:
        """A pack's rows: code → text, unescaped."""
        return {code: unescape(text).strip() for code, text in ROW.findall(self.asked.last_user)}

    @cached_property
    def text(self) -> str:
        """The text in question: the last user message, or the one before a complaint about the answer."""
        roles = [message.get("role") for message in self.asked.messages]
        texts = self.asked.user_texts
        if roles[-3:] == ["user", "assistant", "user"] and (self.schema is not None or self.labels):
            return texts[-2]
        return texts[-1] if texts else ""

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The last bulleted list after a line that ends in a colon: of the system message, else of the user's."""
        for words in (self.asked.system, "\n".join(self.asked.user_texts[-1:])):
            lists = BULLETS.findall(ROW.sub("", words))
            if lists:
                return tuple(line.strip()[2:].strip() for line in lists[-1].splitlines() if line.strip())
        return ()

    @cached_property
    def worded_schema(self) -> JsonObject | None:
        """The schema that the words carry, as JSON after a line that ends in "JSON Schema:"."""
        for words in (self.asked.system, *reversed(self.asked.user_texts)):
            found = _schema_in(words)
            if found is not None:
                return found
        return None

    @cached_property
    def schema(self) -> JsonObject | None:
        return self.native or self.worded_schema

    def schema_of(self, code: str) -> tuple[Any, JsonObject]:
        """What one row of a pack has to be, and the document that its `$ref`s mean."""
        schema = self.schema or {}
        for _ in range(3):
            if "$ref" not in schema:
                break
            schema = resolve(schema["$ref"], self.schema or {})
        properties = schema.get("properties") or {}
        if code in properties:
            return properties[code], self.schema or {}
        extra = schema.get("additionalProperties")
        if not properties and isinstance(extra, dict):
            return extra, self.schema or {}
        return schema, schema

    @property
    def wants_json(self) -> bool:
        """JSON mode, or words that speak of JSON."""
        return self.asked.response_format.get("type") == "json_object" or bool(WANTS_JSON.search(self.asked.system))

    @property
    def answers_tool(self) -> bool:
        """The last message is a tool's result."""
        return bool(self.asked.messages) and self.asked.messages[-1].get("role") == "tool"


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
