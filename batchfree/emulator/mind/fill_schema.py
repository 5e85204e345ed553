"""Fills a JSON Schema from a text: every required member with its exact type, copied from the text if possible."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from batchfree.emulator.emulated_model import JsonObject

DEEPEST = 12
MOST_VALUES = 10_000
"""Most values in one answer. A schema that branches into itself, or a huge `minItems`, asks for more."""
MOST_CHARACTERS = 100_000
"""Most characters of one text, whatever `minLength` asks for."""
NUMBER = re.compile(r"(?<![\w.-])-?\d[\d,]{0,15}(?:\.\d+)?(?![\w-])")
PROPER_NAME = r"[A-Z][\w'-]+(?: (?:de |van |von )?[A-Z][\w'-]+)"
FINDERS = (
    (r"e-?mail", r"([\w.+-]+@[\w-]+(?:\.[\w-]+)+)"),
    (r"date-time", r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)"),
    (r"date|day|deadline", r"(\d{4}-\d{2}-\d{2})"),
    (r"url|uri|link", r"(https?://[^\s<>\"')]+)"),
    (r"name|customer|person|author", rf"({PROPER_NAME}+)"),
    (r"address|street", rf"(\d+ {PROPER_NAME}*)"),
    (r"city|place|country|location", rf"\b(?:in|at|near) ({PROPER_NAME}*)"),
)
"""Name or format of a member → the pattern of its value in the text."""
PLACEHOLDERS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "nobody@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

Choose = Callable[[str, Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class SchemaFiller:
    """Fills schemas from one text. `choose` picks one of several texts, `root` is the document of local references."""

    root: JsonObject
    text: str
    choose: Choose
    allowed: Iterator[int] = field(default_factory=lambda: iter(range(MOST_VALUES)))

    def fill(self, schema: Any, name: str = "", depth: int = 0) -> Any:
        """A value for the member `name` that its schema allows, except for unusual schemas."""
        if depth > DEEPEST or next(self.allowed, None) is None:
            return None
        if not isinstance(schema, dict):
            return summary(self.text)
        schema = _resolved(schema, self.root)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._pick(schema["enum"])
        kinds = schema.get("type", "object" if "properties" in schema else "string")
        kind = next((kind for kind in kinds if kind != "null"), "null") if isinstance(kinds, list) else kinds
        match kind:
            case "null":
                return None
            case "object":
                members = {key: {} for key in schema.get("required") or ()} | (schema.get("properties") or {})
                return {key: self.fill(member, key, depth + 1) for key, member in members.items()}
            case "array":
                return self._array(schema, name, depth)
            case "boolean":
                return bool(_words(name) & _words(self.text))
        number = self._number(name, kind) if kind in ("integer", "number") else None
        text = self._string(schema, name) if kind == "string" else None
        if number is None and text is None and isinstance(kinds, list) and "null" in kinds:
            return None
        return _fitted(text or "", schema) if kind == "string" else _bounded(number or 0, schema, kind)

    def _array(self, schema: JsonObject, name: str, depth: int) -> list[Any]:
        """One member, or all numbers or names of the text; at least `minItems`."""
        member = _resolved(schema.get("items") or {}, self.root)
        least, most = min(int(schema.get("minItems", 0)), MOST_VALUES), int(schema.get("maxItems", 5))
        values: list[Any] = []
        if member.get("type") in ("integer", "number"):
            values = [_bounded(value, member, member["type"]) for value in numbers_in(self.text)]
        elif member.get("type") == "string" and not member.keys() & {"const", "enum", "format"}:
            values = [_fitted(found, member) for found in re.findall(f"{PROPER_NAME}*", self.text)]
        values = list(dict.fromkeys(values)) or [self.fill(member, name, depth + 1)]
        values += [self.fill(member, name, depth + 1) for _ in range(least - len(values))]
        return values[:most]

    def _string(self, schema: JsonObject, name: str) -> str | None:
        """The value after `name:` in the text, else the value of the member's kind, else the first sentence."""
        paired = self._paired(name)
        if paired is not None and "format" not in schema:
            return paired
        for names, pattern in FINDERS:
            if re.search(names, f"{name} {schema.get('format', '')}", re.I):
                found = re.search(pattern, self.text)
                return found[1] if found else None
        return None if schema.get("format") in PLACEHOLDERS else summary(self.text)

    def _number(self, name: str, kind: str) -> float | None:
        found = [*numbers_in(self._paired(name) or ""), *numbers_in(self.text)]
        return next((value for value in found if kind == "number" or value == int(value)), None)

    def _paired(self, name: str) -> str | None:
        """The text after `name:` on its line. Underscores of the name may be blanks."""
        spelled = "[ _-]?".join(map(re.escape, name.split("_")))
        match = re.search(rf"(?im)\b{spelled}\s*[:=#]\s*((?:[^\n;.,]|[.,](?=\w))+)", self.text) if name else None
        return match[1].strip() if match else None

    def _pick(self, options: list[Any]) -> Any:
        spelled = {str(option): option for option in options if option is not None}
        return spelled[self.choose(self.text, list(spelled))] if spelled else None


def resolve(reference: Any, root: JsonObject) -> Any:
    """The part of the document that a local `$ref` names; an empty schema if there is none."""
    found: Any = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key, {}) if isinstance(found, dict) and key else found
    return found


def numbers_in(text: str) -> list[float]:
    """Every plain number in the text. Dates and codes don't count."""
    return [float(found.replace(",", "")) for found in NUMBER.findall(text)]


def summary(text: str) -> str:
    """The first sentence, at most 160 characters of it."""
    first = re.split(r"(?<=[.!?])\s|\n", text.strip(" -*#\n"), maxsplit=1)[0]
    return first if len(first) <= 160 else first[:157].rsplit(" ", 1)[0] + " …"


def _resolved(schema: Any, root: JsonObject) -> JsonObject:
    """The schema with its reference followed, `allOf` merged, and the first alternative that is not null chosen."""
    for _ in range(DEEPEST):
        found: JsonObject = schema if isinstance(schema, dict) else {}
        if "$ref" in found:
            schema = resolve(found["$ref"], root)
        elif branches := found.get("anyOf") or found.get("oneOf"):
            real = [branch for branch in branches if branch != {"type": "null"}]
            schema = dict(_resolved((real or branches)[0], root))
            if 0 < len(real) < len(branches) and isinstance(schema.get("type"), str):
                schema["type"] = [schema["type"], "null"]
        elif parts := found.get("allOf"):
            schema = _merged([*(_resolved(part, root) for part in parts), {**found, "allOf": ()}])
        else:
            return found
    return {}


def _merged(parts: list[JsonObject]) -> JsonObject:
    merged: JsonObject = {}
    for part in parts:
        required = [*merged.get("required", ()), *part.get("required", ())]
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        merged |= part | {key: value for key, value in (("required", required), ("properties", properties)) if value}
    return merged


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]{3,}", text.lower())) - {"has"}


def _bounded(value: float, schema: JsonObject, kind: str) -> float:
    step = schema.get("multipleOf") or (1 if kind == "integer" else 0)
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf) + (step or 0.5))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf) - (step or 0.5))
    value = min(max(value, low), high)
    if step and math.isfinite(value / step):
        value = round(value / step) * step
        value += step if value < low else -step if value > high else 0
    return int(value) if value == int(value) else value


def _fitted(text: str, schema: JsonObject) -> str:
    """The text with a length between `minLength` and `maxLength`. An empty text becomes an example of the format."""
    text = text or PLACEHOLDERS.get(str(schema.get("format")), "")
    least, most = min(int(schema.get("minLength", 0)), MOST_CHARACTERS), int(schema.get("maxLength", MOST_CHARACTERS))
    return text.ljust(least, ".")[:most]
