"""Filling a JSON Schema from a text: every required member, of its exact type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from batchfree.emulator.emulated_model import JsonObject
from batchfree.emulator.mind import find as finding
from batchfree.emulator.mind.lexicon import label_stems, mood, stem, stems_of, words

DEEPEST = 12
DATES = stems_of("date day when time deadline due birthday")
PRICES = stems_of("price amount total cost sum fee value")
PEOPLE = stems_of("name person people author customer sender recipient who contact names persons")
PLACES = stems_of("city place location country where town address destination")
WORDS = stems_of("keywords keyword tags tag topics topic words themes")
PHONES = stems_of("phone telephone mobile tel")
RATINGS = stems_of("rating stars star score sentiment")
FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "nobody@example.org",
    "uri": "https://example.org/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}

Choose = Callable[[str, Sequence[str]], str]


@dataclass(frozen=True, slots=True)
class Form:
    """One schema to fill from one text. `choose` picks among strings; `root` holds the `$defs`."""

    root: JsonObject
    text: str
    choose: Choose

    def fill(self, schema: Any, name: str = "", depth: int = 0) -> Any:
        """A value that the schema allows, as far as simple means go."""
        if not isinstance(schema, dict) or depth > DEEPEST:
            return None if depth > DEEPEST else finding.summary(self.text)
        if "$ref" in schema:
            return self.fill(resolve(schema["$ref"], self.root), name, depth + 1)
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self._pick(schema["enum"])
        for several in ("anyOf", "oneOf"):
            if schema.get(several):
                return self.fill(self._branch(schema[several], name), name, depth + 1)
        if schema.get("allOf"):
            return self.fill(
                _merged([*schema["allOf"], {k: v for k, v in schema.items() if k != "allOf"}], self.root),
                name,
                depth + 1,
            )
        return self._typed(schema, name, depth)

    def _typed(self, schema: JsonObject, name: str, depth: int) -> Any:
        kinds = schema.get("type", "object" if "properties" in schema else "string")
        nullable = isinstance(kinds, list) and "null" in kinds
        kind = next((kind for kind in kinds if kind != "null"), "null") if isinstance(kinds, list) else kinds
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        if kind in ("integer", "number"):
            found = self._number(name, whole=kind == "integer")
            return None if found is None and nullable else _bounded(found or 0, schema, whole=kind == "integer")
        if kind == "boolean":
            return self._boolean(name)
        if kind == "null":
            return None
        text = self._string(schema, name)
        return None if text is None and nullable else _fitted(text, schema)

    def _object(self, schema: JsonObject, depth: int) -> JsonObject:
        properties = schema.get("properties") or {}
        filled = {key: self.fill(member, key, depth + 1) for key, member in properties.items()}
        for key in schema.get("required") or ():
            filled.setdefault(key, finding.summary(self.text))
        return filled

    def _array(self, schema: JsonObject, name: str, depth: int) -> list[Any]:
        items, most = schema.get("items") or {}, schema.get("maxItems", 5)
        least = schema.get("minItems", 0)
        member = resolve(items["$ref"], self.root) if "$ref" in items else items
        if member.get("type") == "object" or "properties" in member:
            lines = [line for line in self.text.splitlines() if finding.numbers(line) or finding.names(line)]
            parts = lines[:most] if len(lines) > 1 else [self.text]
            values: list[Any] = [Form(self.root, part, self.choose).fill(member, name, depth + 1) for part in parts]
        elif isinstance(member.get("enum"), list):
            values = [self._pick(member["enum"])]
        elif member.get("type") in ("integer", "number"):
            whole = member["type"] == "integer"
            values = [_bounded(value, member, whole=whole) for value in finding.numbers(self.text)]
        else:
            values = [_fitted(value, member) for value in self._strings(name)]
        if schema.get("uniqueItems"):
            values = [value for place, value in enumerate(values) if value not in values[:place]]
        while len(values) < least:
            values.append(self.fill(member, name, depth + 1))
        return values[:most]

    def _strings(self, name: str) -> list[str]:
        stems = set(label_stems(name))
        if stems & PEOPLE:
            return finding.people(self.text)
        if stems & PLACES:
            return finding.places(self.text)
        if stems & DATES:
            return finding.dates(self.text)
        if "email" in stems:
            return finding.EMAIL.findall(self.text)
        return finding.keywords(self.text) if stems & WORDS else finding.names(self.text) or finding.keywords(self.text)

    def _string(self, schema: JsonObject, name: str) -> str | None:
        """By the format, then the pair `name: value` in the text, then the kind of thing that the name speaks of."""
        kind, stems = schema.get("format"), set(label_stems(name))
        if kind in ("date", "date-time"):
            found = finding.dates(self.text)
            return None if not found else found[0] + ("T00:00:00Z" if kind == "date-time" else "")
        if kind == "email" or "email" in stems or "mail" in stems:
            return next(iter(finding.EMAIL.findall(self.text)), None)
        if kind in ("uri", "url") or stems & {"url", "link", "websit"}:
            return next(iter(finding.URL.findall(self.text)), None)
        paired = finding.pair(self.text, name) if name else None
        if paired is not None:
            return paired
        for kinds, find in (
            (DATES, finding.dates), (PLACES, finding.places), (PEOPLE, finding.people), (PHONES, finding.PHONE.findall),
        ):  # fmt: skip
            if stems & kinds:
                return next(iter(find(self.text)), None)
        if "currency" in stems or "currenci" in stems:
            return finding.currency(self.text)
        if stems & WORDS:
            return ", ".join(finding.keywords(self.text)) or None
        return finding.summary(self.text)

    def _number(self, name: str, *, whole: bool) -> float | None:
        stems = set(label_stems(name))
        paired = finding.pair(self.text, name) if name else None
        from_pair = finding.numbers(paired) if paired else []
        if from_pair:
            return from_pair[0]
        if stems & RATINGS and not finding.numbers(self.text):
            good, bad = mood(self.text)
            return 3 + (good > bad) * min(2, good - bad) - (bad > good) * min(2, bad - good)
        if stems & PRICES and finding.money(self.text):
            return finding.money(self.text)[-1 if "total" in stems else 0]
        if "year" in stems:
            years = [found for found in finding.numbers(self.text) if 1000 <= found <= 2999]
            return years[0] if years else next((float(day[:4]) for day in finding.dates(self.text)), None)
        found = [value for value in finding.numbers(self.text) if not whole or value == int(value)]
        return found[0] if found else None

    def _boolean(self, name: str) -> bool:
        stems = set(label_stems(name)) - {"is", "has", "ha", "are", "was", "contain"}
        if stems & {"positiv", "satisfi", "happy", "recommend", "good"}:
            good, bad = mood(self.text)
            return good > bad
        return bool(stems & set(map(stem, words(self.text))))

    def _pick(self, options: list[Any]) -> Any:
        spelled = {
            option if isinstance(option, str) else str(option): option for option in options if option is not None
        }
        return spelled[self.choose(self.text, list(spelled))] if spelled else None

    def _branch(self, branches: list[Any], name: str) -> Any:
        real = [branch for branch in branches if not (isinstance(branch, dict) and branch.get("type") == "null")]
        first = real[0] if real else branches[0]
        if len(real) < len(branches) and isinstance(first, dict) and isinstance(first.get("type"), str):
            return {**first, "type": [first["type"], "null"]}
        return first


def resolve(reference: Any, root: JsonObject) -> Any:
    """The part of the document that a local `$ref` names; an empty schema where there is none."""
    found: Any = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key, {}) if isinstance(found, dict) and key else found
    return found


def _merged(parts: list[Any], root: JsonObject) -> JsonObject:
    merged: JsonObject = {}
    for part in parts:
        part = resolve(part["$ref"], root) if "$ref" in part else part
        merged["properties"] = {**merged.get("properties", {}), **part.get("properties", {})}
        merged["required"] = [*merged.get("required", ()), *part.get("required", ())]
        merged |= {key: value for key, value in part.items() if key not in ("properties", "required")}
    return {key: value for key, value in merged.items() if value}


def _bounded(value: float, schema: JsonObject, *, whole: bool) -> float:
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    step = schema.get("multipleOf") or (1 if whole else 0)
    if "exclusiveMinimum" in schema:
        low = max(low, schema["exclusiveMinimum"] + (step or 0.5))
    if "exclusiveMaximum" in schema:
        high = min(high, schema["exclusiveMaximum"] - (step or 0.5))
    value = min(max(value, low), high)
    if step:
        value = round(value / step) * step
        value += step if value < low else -step if value > high else 0
    return int(value) if whole or value == int(value) else value


def _fitted(text: str | None, schema: JsonObject) -> str:
    text = FORMATS.get(str(schema.get("format")), "") if text is None else text
    pattern = schema.get("pattern")
    if pattern and not re.search(pattern, text):
        matching = (word for word in text.split() if re.search(pattern, word))
        text = next(matching, text)
    text = text.ljust(int(schema.get("minLength", 0)), ".")
    most = schema.get("maxLength")
    return text if most is None else text[: int(most)]
