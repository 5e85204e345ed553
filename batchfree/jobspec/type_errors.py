"""Wrong types, unknown keys and values out of range, as sentences that anybody understands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from batchfree.core.chat import Json
from batchfree.core.text import KeyPath, dotted
from batchfree.jobspec.draft import Draft
from batchfree.jobspec.rules.chat_messages import nearest
from batchfree.jobspec.rules.request_parameters import PARAMETERS
from batchfree.jobspec.rules.unbuilt import UNBUILT
from batchfree.jobspec.schema import JobSpec

EXPECTED = {
    "int_type": "an integer",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
"""Pydantic's type of error → what was wanted."""

LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("more than", "gt"),
}

ELSEWHERE = {
    "model": "router.route",
    "models": "router.route",
    "rows": "input.path",
    "workers": "limits.concurrency",
    "schema": "answer.schema",
    "retries": "retry.max_attempts",
    "api_base": "endpoint.base_url",
}
"""Words that people bring along from other tools."""

OR_ONE: set[KeyPath] = {("input", "path"), ("router", "route")}
"""Lists that may also be written as one text."""

REQUIRED: dict[KeyPath, str] = {
    ("input",): "a job needs an input: a path to its rows",
    ("input", "path"): "an input needs a path to its rows",
}


def blame_all(draft: Draft, error: ValidationError) -> list[KeyPath]:
    """Puts every mistake of types, names and ranges into words; returns the written paths that hold wrong values."""
    groups: dict[KeyPath, list[Mapping[str, Any]]] = {}
    for fault in error.errors(include_url=False):
        path = fault["loc"] if fault["type"] in ("extra_forbidden", "missing") else draft.place(fault["loc"])
        groups.setdefault(path, []).append(fault)
    wrong = []
    for path, faults in groups.items():
        kind = faults[0]["type"]
        if draft.blamed(path) or (kind == "missing" and draft.broken(path)):
            pass  # said already
        elif kind == "extra_forbidden":
            draft.blame(path, f"there is no such key{_suggestion(path)}", breaks=False)
        elif kind == "missing":
            draft.blame(path, REQUIRED.get(path, "this key is required"))
        else:
            draft.blame(path, _sentence(draft, path, faults))
        wrong.append(path)
    return wrong


def _sentence(draft: Draft, path: KeyPath, faults: Iterable[Mapping[str, Any]]) -> str:
    """Several faults at one place are the alternatives of a union, or the items of one value."""
    expected: list[str] = []
    value: Json = None
    for fault in faults:
        value, context = fault["input"], fault.get("ctx", {})
        if fault["type"] in LIMITS:
            words, name = LIMITS[fault["type"]]
            return f"must be {words} {_number(context[name])}, got {draft.shown(path, value)}"
        if fault["type"] == "string_pattern_mismatch":
            return _pattern_sentence(path)
        if fault["type"] == "too_short":
            return (
                f"expected a list of at least {context['min_length']} values, got {context['actual_length'] or 'none'}"
            )
        expected.append(EXPECTED.get(fault["type"]) or context.get("expected") or "another value")
    if path in OR_ONE:
        expected.append("text")
    words = " or ".join(dict.fromkeys(expected))
    got = f"expected {words}, got {draft.shown(path, value)}"
    if path in draft.origins and draft.origins[path].source is not None:
        return got
    if value is None:
        return f"{got}; leave the key out for its default"
    if isinstance(value, str) and any(name in expected for name in ("an integer", "a number")) and _numeric(value):
        return f"{got}; write it without quotes"
    if "text" in expected and not isinstance(value, dict | list):
        return f"{got}; put it in quotes"
    return got + nearest(value, re.findall("'([^']*)'", words))


def _pattern_sentence(path: KeyPath) -> str:
    if path == ("endpoint", "api_key_env"):
        return "expected the name of an environment variable, such as OPENROUTER_API_KEY, never the key itself"
    return "must not be blank"


def _number(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"


def _numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _suggestion(path: KeyPath) -> str:
    """The nearest key beside it, else the same word elsewhere in the spec, else a parameter of `request`."""
    word = str(path[-1])
    siblings = _keys(path[:-1])
    close = get_close_matches(word, siblings, n=1)
    if close:
        return f"; did you mean `{dotted((*path[:-1], close[0]))}`?"
    for section in _keys(()):
        if word in _keys((section,)):
            return f"; did you mean `{section}.{word}`?"
    if word in ELSEWHERE:
        return f"; did you mean `{ELSEWHERE[word]}`?"
    if word in PARAMETERS:
        return f"; did you mean `request.{word}`?"
    close = get_close_matches(word, siblings, n=1, cutoff=0.4)
    return f"; the nearest key is `{close[0]}`" if close else f"; known keys are {', '.join(siblings)}"


def _keys(path: KeyPath) -> list[str]:
    """The keys that may stand in a mapping of the spec; none where `path` leads to no mapping of fixed keys."""
    model: type[BaseModel] = JobSpec
    for part in path:
        found = model.model_fields.get(str(part))
        if found is None or not (isinstance(found.annotation, type) and issubclass(found.annotation, BaseModel)):
            return []
        model = found.annotation
    names = [field.alias or name for name, field in model.model_fields.items()]
    return names + (list(UNBUILT) if model is JobSpec else [])
